"""What the site has set, and what can be done about it while the gateway runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.errors import Unavailable
from gateway.operations.check import CheckFinding
from gateway.operations.conformance.sections import Statement, StatementName
from gateway.operations.reloading import Reloaded


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of the configuration in force."""

    key: str
    value: str
    """As text; no secret."""


async def _no_statement(_name: StatementName) -> Statement:
    raise Unavailable("no configuration is known here")


@dataclass(frozen=True, slots=True)
class System:
    """The tools of a gateway that serves."""

    reload: Callable[[], Awaitable[Reloaded]]
    settings: Callable[[], Sequence[Setting]]
    check: Callable[[], Awaitable[Sequence[CheckFinding]]]
    """Configuration and mappings as they are, without asking anybody."""
    statement: Callable[[StatementName], Awaitable[Statement]] = field(default=_no_statement)
    """The conformance statement of the configuration in force."""


async def _no_reload() -> Reloaded:
    raise Unavailable("nothing can be reloaded here")


async def _no_check() -> Sequence[CheckFinding]:
    return ()


NONE = System(_no_reload, tuple, _no_check)
"""Where no configuration is known."""
