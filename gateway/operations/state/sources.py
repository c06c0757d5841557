"""What the state is made of, beside the database: what is configured, and what the process itself sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.operations.audit.watching import ChainStanding
from gateway.operations.state.components import Component
from gateway.operations.state.spool import SpoolSeen
from gateway.records.receiver import Receiver
from gateway.records.work import WorkKind


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that the gateway writes to."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class CertificateFile:
    name: str
    """Key of the configuration."""
    path: Path
    is_authority: bool = False
    """Whose certificate signed that of a peer: of several in a file the one that lasts longest counts."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is configured."""

    listeners: tuple[str, ...] = ()
    scanners: tuple[str, ...] = ()
    """AE titles."""
    receivers: tuple[Receiver, ...] = ()
    folders: tuple[Folder, ...] = ()
    certificates: tuple[CertificateFile, ...] = ()
    repositories: tuple[str, ...] = ()
    """Of the audit trail."""
    has_ages: bool = False
    """Something is deleted by its age."""


@dataclass(frozen=True, slots=True)
class Silence:
    """How a receiver answers, as the process sees it. Moments by the wall clock, microseconds."""

    answered_at: int | None = None
    """Last; None: not since the process began."""
    away_since: int | None = None
    """The first try without an answer after the last answer."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Associations of an AE title that were refused for one reason."""

    calling_ae: str
    address: str
    why: str
    at: int
    """The last."""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration in force."""

    at: int
    faults: Sequence[str] = ()
    """Why the files as they are now are not in force."""
    tried_at: int | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """What a gateway that serves sees of itself."""

    components: Callable[[], Awaitable[dict[str, Component]]]
    silences: Callable[[], Mapping[WorkKind, Silence]] = dict
    refused: Callable[[], Sequence[Refused]] = tuple
    loaded: Callable[[], Loaded | None] = lambda: None
    chain: Callable[[], ChainStanding | None] = lambda: None
    """What it has seen of the chain of the audit trail."""
    spool: Callable[[], SpoolSeen] | None = None
    """Blocks. None: only headers are kept."""


@dataclass(slots=True)
class Sources:
    """All that the state is read from. `process`: None where no gateway serves, as in a command."""

    setup: Setup
    process: Process | None
    version: str
    clock: Callable[[], int]
    newest: dict[str, int] = field(default_factory=dict)
    """Listener -> when its last message came, as far as was looked."""
    firsts: tuple[int, int] | None = None
    """Ids of the first messages of the last hour and of the last day, when they were looked for last."""
    looked_at: int = 0
