"""The mappings in force: who holds them has those that were loaded last, from the next message or study on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, cast

from gateway.mapping import Mappings

T = TypeVar("T")

_APPLIED: Final = frozenset({"orders", "studies", "statuses", "corrections", "worklist_files"})
"""What is applied as a whole: a call runs to its end with the mapping with which it began."""


class _Current:
    """Stands for what `get` gives at the moment of each use."""

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[], object]) -> None:
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)


def current(get: Callable[[], T]) -> T:
    """An object with the attributes and methods that the object of `get` has at the moment of each use."""
    return cast(T, _Current(get))


class MappingsInForce:
    """Holds the mappings, which `replace` exchanges; `view` stands for those in force."""

    def __init__(self, mappings: Mappings) -> None:
        self.mappings = mappings
        parts = {name: current(partial(self._part, name)) for name in _APPLIED}
        self.view = cast(Mappings, _View(self, parts))

    def _part(self, name: str) -> Any:
        return getattr(self.mappings, name)

    def replace(self, mappings: Mappings) -> None:
        """Let `mappings` be in force."""
        self.mappings = mappings


class _View:
    __slots__ = ("_holder", "_parts")

    def __init__(self, holder: MappingsInForce, parts: dict[str, Any]) -> None:
        self._holder = holder
        self._parts = parts

    def __getattr__(self, name: str) -> Any:
        return self._parts[name] if name in self._parts else getattr(self._holder.mappings, name)
