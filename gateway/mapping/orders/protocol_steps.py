"""The scheduled steps of an order group: one for each IPC segment (OMI_O23), and what its action code says (IPC-10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from gateway.mapping.orders.levels import LevelRead
from gateway.mapping.orders.scope import Scope, stated
from gateway.records.order import StepListing

_ACTION_CODE: Final = 10
_DELETED: Final = "D"
_SINGLE: Final = frozenset({"A", "U", _DELETED})
"""HL7 table 0206: the segment adds, changes or takes back one step. S is a snapshot, X leaves the step as it is."""


class StepsRead(NamedTuple):
    """The steps that a group states."""

    listed: list[LevelRead]
    listing: StepListing

    def derived(self) -> set[str]:
        """Attributes that no listed step states: what any step states, the message states."""
        return set.intersection(*(own for _, own in self.listed)) if self.listed else set()


def step_scopes(scope: Scope) -> Iterator[Scope]:
    """One scope for each IPC, else the group itself: one step."""
    protocols = scope.order.get("IPC", ())
    if len(protocols) <= 1:
        yield scope
        return
    for protocol in protocols:
        yield replace(scope, order={**scope.order, "IPC": [protocol]})


def is_withdrawn(scope: Scope) -> bool:
    """Whether the one IPC of a step's scope takes the step back."""
    return _DELETED in _actions(scope)


def is_whole_list(scope: Scope) -> bool:
    """Whether the IPC segments of a group are the whole list of its steps, not single ones."""
    return _SINGLE.isdisjoint(_actions(scope))


def _actions(scope: Scope) -> set[str]:
    return {stated(protocol.leaf(_ACTION_CODE)).upper() for protocol in scope.order.get("IPC", ())}
