"""The connections that a listener may have, in all and of one address, and which of them gives way to a new one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from enum import Enum, IntEnum, auto
from typing import Final


class Phase(IntEnum):
    """What a connection is at, in the order in which connections give way."""

    IDLE = auto()
    """Between two requests: gives way at once."""
    BEGINNING = auto()
    """Has asked for nothing yet: gives way when it has had its time."""
    WORKING = auto()
    """Never gives way."""
    SILENT = auto()
    """Between two messages of a sender that keeps its connection for hours: when it has had its time, it gives way to
    another of its own address."""


class Denial(Enum):
    """Why a connection is turned away; the values are labels of metrics."""

    IN_ALL = "connections"
    OF_ADDRESS = "connections of address"
    ADDRESS = "address"
    """It may not connect at all."""
    TLS = "tls"
    CERTIFICATE = "certificate"
    """It shows none that is let in."""


_YIELDING: Final = (Phase.IDLE, Phase.BEGINNING)


class HeldPlace:
    """The place of one connection, which holds it until `leave`."""

    __slots__ = ("_places", "address", "end", "phase", "since")

    def __init__(self, places: Places, address: str, end: Callable[[], object]) -> None:
        self._places = places
        self.phase, self.since = Phase.BEGINNING, 0.0
        self.address = address
        self.end = end
        """Ends the connection at once; it is called when the place goes to another."""

    def stand(self, phase: Phase) -> None:
        """Note what the connection is at from now on; nothing changes when it is so already."""
        if phase is not self.phase:
            self._places.move(self, phase)

    def leave(self) -> None:
        """Give the place back; nothing happens the second time."""
        self._places.remove(self)


def share_of_address(most: int) -> int:
    """How many of `most` connections one address may have where nothing else is stated: three quarters, rounded up."""
    return -(-3 * most // 4)


class Places:
    """At most `most` connections, and `most_of_address` of one address (None: as many as in all).

    Where a listener is full, the connection that has been idle for longest is ended for a new one, else the one that
    has been silent or half a request for longest, if that is at least `patience` seconds. Where an address has all of
    its own, one of its own gives way: no address takes a place from another while it is over its number.
    """

    def __init__(
        self,
        most: int,
        most_of_address: int | None = None,
        *,
        patience: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.most_of_address = min(most_of_address or most, most)
        self.patience = patience
        self._clock = clock
        self._held: dict[Phase, dict[HeldPlace, None]] = {phase: {} for phase in Phase}
        """Places by phase, each in the order in which they came to it."""
        self._of_address: Counter[str] = Counter()
        self.counted: Callable[[int], None] = lambda connections: None
        """Is called with the number of connections whenever it changes."""

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def of_address(self, address: str) -> int:
        """How many an address has."""
        return self._of_address[address]

    def take(self, address: str, end: Callable[[], object]) -> HeldPlace | Denial:
        """A place for a new connection, whose phase is BEGINNING; or why there is none."""
        if self.most_of_address <= self._of_address[address] < self.most and not self._let_go(address):
            return Denial.OF_ADDRESS
        if len(self) >= self.most and not (self._let_go(None) or self._let_go(address)):
            return Denial.IN_ALL
        place = HeldPlace(self, address, end)
        self._of_address[address] += 1
        self._put(place, Phase.BEGINNING)
        self.counted(len(self))
        return place

    def move(self, place: HeldPlace, phase: Phase) -> None:
        """Change what a connection is at, unless it has left."""
        if place in (held := self._held[place.phase]):
            del held[place]
            self._put(place, phase)

    def remove(self, place: HeldPlace) -> None:
        """Free a place, once."""
        if place in (held := self._held[place.phase]):
            del held[place]
            self._of_address[place.address] -= 1
            if not self._of_address[place.address]:
                del self._of_address[place.address]
            self.counted(len(self))

    def _put(self, place: HeldPlace, phase: Phase) -> None:
        place.phase, place.since = phase, self._clock()
        self._held[phase][place] = None

    def _let_go(self, address: str | None) -> bool:
        """End the connection of the address (None: of any) that gives way first; False when none does."""
        for phase in _YIELDING if address is None else (*_YIELDING, Phase.SILENT):
            until = self._clock() - (0.0 if phase is Phase.IDLE else self.patience)
            for place in self._held[phase]:
                if place.since > until:
                    break
                if address in (None, place.address):
                    self.remove(place)
                    place.end()
                    return True
        return False
