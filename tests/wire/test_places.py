"""Places of a listener: how many there are, and which connection gives way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.places import Denial, HeldPlace, Phase, Places


class Hall:
    """Places with a clock that the test moves, and the names of the connections that were ended."""

    def __init__(self, most: int, most_of_address: int | None = None) -> None:
        self.now = 100.0
        self.ended: list[str] = []
        self.places = Places(most, most_of_address, patience=5.0, clock=lambda: self.now)

    def take(self, name: str, address: str = "10.0.0.1") -> HeldPlace | Denial:
        return self.places.take(address, lambda: self.ended.append(name))

    def let_in(self, name: str, address: str = "10.0.0.1", phase: Phase = Phase.BEGINNING) -> HeldPlace:
        place = self.take(name, address)
        assert isinstance(place, HeldPlace)
        place.stand(phase)
        return place


def test_who_works_gives_way_to_nobody() -> None:
    hall = Hall(2)
    places = [hall.let_in(name, phase=Phase.WORKING) for name in "ab"]
    hall.now += 10_000
    assert hall.take("c") is Denial.IN_ALL
    places[0].leave()
    places[0].leave()
    assert (len(hall.places), isinstance(hall.take("d"), HeldPlace), hall.ended) == (1, True, [])


def test_the_longest_idle_goes_first_then_the_longest_silent() -> None:
    hall = Hall(4)
    hall.let_in("silent")
    hall.now += 5
    first, _ = (hall.let_in(name, phase=Phase.IDLE) for name in ("first", "second"))
    first.stand(Phase.WORKING)
    first.stand(Phase.IDLE)
    hall.let_in("works", phase=Phase.WORKING)
    for name in ("e", "f", "g"):
        hall.let_in(name)
    assert hall.ended == ["second", "first", "silent"]
    assert hall.take("h") is Denial.IN_ALL, "the others have not had their five seconds"


def test_an_address_that_has_all_its_places_takes_none_of_others() -> None:
    hall = Hall(4, 2)
    hall.let_in("theirs", "10.0.0.2", Phase.IDLE)
    for name in "ab":
        hall.let_in(name, phase=Phase.WORKING)
    assert hall.take("c") is Denial.OF_ADDRESS
    hall.let_in("d", "10.0.0.2", Phase.IDLE)
    assert isinstance(hall.take("e", "10.0.0.2"), HeldPlace)
    assert hall.ended == ["theirs"]


@pytest.mark.parametrize("of_address", [2, 3])
def test_the_longest_silent_gives_way_to_its_own_address_alone(of_address: int) -> None:
    """A sender that opens a connection for each message, and leaves them open, is not shut out by them."""
    hall = Hall(3, of_address)
    hall.let_in("theirs", "10.0.0.2", Phase.SILENT)
    for name in "ab":
        hall.let_in(name, phase=Phase.SILENT)
    assert isinstance(hall.take("c"), Denial), "they have not had their five seconds"
    hall.now += 6
    assert hall.take("d", "10.0.0.3") is Denial.IN_ALL, "of another address"
    assert isinstance(hall.take("e"), HeldPlace)
    assert hall.ended == ["a"]


ACTS = st.sampled_from(["take", "idle", "work", "leave"])


@given(st.lists(st.tuples(st.integers(0, 3), ACTS, st.integers(0, 30))))
def test_there_are_never_more_than_the_limits_say(steps: list[tuple[int, str, int]]) -> None:
    hall, held = Hall(6, 3), []
    for number, (address, act, turn) in enumerate(steps):
        hall.now += turn
        if act == "take":
            place = hall.take(str(number), str(address))
            held += [place] if isinstance(place, HeldPlace) else []
        elif held:
            place = held[turn % len(held)]
            place.leave() if act == "leave" else place.stand(Phase.IDLE if act == "idle" else Phase.WORKING)
        assert len(hall.places) <= 6
        assert all(hall.places.of_address(str(one)) <= 3 for one in range(4))
    for place in held:
        place.leave()
    assert (len(hall.places), [hall.places.of_address(str(one)) for one in range(4)]) == (0, [0] * 4)
