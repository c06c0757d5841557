"""The connections that a listener may have, in all and of one address, and which of them gives way to a new one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from typing import Final


class Standing(Enum):
    """What a connection is at, in the order in which connections give way."""

    IDLE = auto()
    """Between two requests: gives way at once."""
    BEGINNING = auto()
    """Has asked for nothing yet: gives way when it has had its time."""
    WORKING = auto()
    """Never gives way."""


class Full(Enum):
    """Why a listener has no place."""

    IN_ALL = "connections"
    OF_ADDRESS = "connections of address"


_YIELDING: Final = (Standing.IDLE, Standing.BEGINNING)


class Place:
    """The place of one connection, which holds it until `leave`."""

    __slots__ = ("_places", "address", "end", "since", "standing")

    def __init__(self, places: Places, address: str, end: Callable[[], object]) -> None:
        self._places = places
        self.standing, self.since = Standing.BEGINNING, 0.0
        self.address = address
        self.end = end
        """Ends the connection at once; it is called when the place goes to another."""

    def stand(self, standing: Standing) -> None:
        """Note what the connection is at from now on; nothing changes when it is so already."""
        if standing is not self.standing:
            self._places.move(self, standing)

    def leave(self) -> None:
        """Give the place back; nothing happens the second time."""
        self._places.remove(self)


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
        self._held: dict[Standing, dict[Place, None]] = {standing: {} for standing in Standing}
        """Places by standing, each in the order in which they came to it."""
        self._of_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def of_address(self, address: str) -> int:
        """How many an address has."""
        return self._of_address[address]

    def take(self, address: str, end: Callable[[], object]) -> Place | Full:
        """A place for a new connection, whose standing is BEGINNING; or why there is none."""
        if self.most_of_address <= self._of_address[address] < self.most and not self._let_go(address):
            return Full.OF_ADDRESS
        if len(self) >= self.most and not self._let_go(None):
            return Full.IN_ALL
        place = Place(self, address, end)
        self._of_address[address] += 1
        self._put(place, Standing.BEGINNING)
        return place

    def move(self, place: Place, standing: Standing) -> None:
        """Change what a connection is at, unless it has left."""
        if place in (held := self._held[place.standing]):
            del held[place]
            self._put(place, standing)

    def remove(self, place: Place) -> None:
        """Free a place, once."""
        if place in (held := self._held[place.standing]):
            del held[place]
            self._of_address[place.address] -= 1
            if not self._of_address[place.address]:
                del self._of_address[place.address]

    def _put(self, place: Place, standing: Standing) -> None:
        place.standing, place.since = standing, self._clock()
        self._held[standing][place] = None

    def _let_go(self, address: str | None) -> bool:
        """End the connection of the address (None: of any) that gives way first; False when none does."""
        for standing in _YIELDING:
            until = self._clock() - (self.patience if standing is Standing.BEGINNING else 0.0)
            for place in self._held[standing]:
                if place.since > until:
                    break
                if address in (None, place.address):
                    self.remove(place)
                    place.end()
                    return True
        return False
