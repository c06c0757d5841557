"""Which studies the instances of others are of now, as found from each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, update

from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival
from gateway.records.identifiers import AccessionNumber, SOPInstanceUID, StudyInstanceUID
from gateway.records.moved_instance import Former
from gateway.store import Store, early, moved_instances, study_arrivals
from gateway.store import studies as studies_of
from gateway.store.moved_instances import Found
from gateway.store.retention.studies import GOING
from gateway.store.schema import moved_instances as moves
from gateway.store.schema import studies
from tests.store.test_study_arrivals import FIRST


def uid(number: int) -> StudyInstanceUID:
    return StudyInstanceUID(f"2.25.9.{number}")


def image(number: int, *former: int, sop: str = "", patient: str = "P1") -> InstanceArrival:
    """The only image of study `number`, which had the UIDs of the studies `former` before."""
    return replace(
        FIRST, study_uid=uid(number), sop_uid=SOPInstanceUID(sop or f"{uid(number)}.1"), received_at=number,
        instance={**FIRST.instance, "PatientID": patient},
        former=tuple(Former(uid(one), "", f"{uid(one)}.1") for one in former),
    )  # fmt: skip


def keep(connection: Connection, images: Sequence[InstanceArrival]) -> None:
    for one in images:
        study_arrivals.keep(connection, one, AgreementRules())
    connection.execute(update(studies), {"settled_at": 1})


def _settle_all(connection: Connection, numbers: Sequence[int]) -> int:
    """How many moves are written or taken back when each study settles once."""
    written = 0
    for number in numbers:
        found = moved_instances.find(connection, uid(number))
        moved_instances.write(connection, found, now=1)
        written += len(found.begun) + len(found.ended)
    return written


def _written(connection: Connection) -> dict[str, str]:
    return {row.study_uid: row.to_study_uid for row in connection.execute(select(moves))}


@pytest.mark.parametrize("length", [12, 26])
async def test_each_study_of_a_long_chain_finds_the_same(store: Store, length: int) -> None:
    """Else each would take over what the others have taken over, without an end."""
    numbers = range(1, length + 1)

    def settle(connection: Connection) -> int:
        keep(connection, [image(number, number - 1) for number in numbers])
        _settle_all(connection, numbers)
        return _settle_all(connection, numbers)

    assert await store.write(settle) == 0
    written = await store.read(_written)
    assert written == {uid(number): uid(length) for number in numbers[:-1]}


async def test_of_a_uid_that_very_many_studies_have_nothing_moves(store: Store) -> None:
    numbers = range(1, moved_instances.MOST_COPIES + 2)

    def settle(connection: Connection) -> int:
        keep(connection, [image(number, sop="2.25.9") for number in numbers[:-1]])
        moved = _settle_all(connection, numbers[-2:-1])
        keep(connection, [image(numbers[-1], sop="2.25.9")])
        return moved - _settle_all(connection, numbers)

    assert await store.write(settle) == moved_instances.MOST_COPIES - 1


async def test_what_is_stated_no_more_stays_taken_over_and_tied(store: Store) -> None:
    """Such as of an instance that another archive sends again without Original Attributes Sequence."""
    again = replace(image(2), digest=b"again")

    def settle(connection: Connection) -> list[frozenset[str]]:
        keep(connection, [image(1), image(2, 1)])
        _settle_all(connection, [2])
        before = moved_instances.find(connection, uid(2)).taken_over
        keep(connection, [again])
        assert _settle_all(connection, [1, 2]) == 0
        return [before, moved_instances.find(connection, uid(2)).taken_over]

    assert await store.write(settle) == [{uid(1)}, {uid(1)}]
    assert await store.read(_written) == {uid(1): uid(2)}
    await store.write(lambda one: studies_of.withdraw(one, uid(2), at=1))
    await store.write(lambda one: _settle_all(one, [2, 1]))
    assert await store.read(_written) == {}


async def test_what_is_about_to_be_deleted_takes_over_nothing(store: Store) -> None:
    """A large study is deleted some instances at a time, without its name."""

    def settle(connection: Connection) -> list[Found]:
        keep(connection, [image(1), image(2, 1), image(3), image(4, 3)])
        _settle_all(connection, [2])
        for number in (2, 4):
            going = update(studies).where(studies.c.study_uid == uid(number))
            connection.execute(going, {"study_uid": f"{GOING}{number}"})
        return [moved_instances.find(connection, uid(number)) for number in (1, 3)]

    assert [(one.begun, one.ended) for one in await store.write(settle)] == [([], [])] * 2
    order = early.of_order
    found = await store.read(lambda one: order(one, study_uid=uid(3), accession_number=AccessionNumber("")))
    assert found.studies == (uid(3),)


async def test_of_very_many_former_studies_so_many_are_looked_up(store: Store) -> None:
    """Those first of which instances were taken over: a statement has no more than some ten thousand values."""

    def former(connection: Connection) -> dict[str, bool]:
        keep(connection, [image(1, *range(2, 600))])
        assert studies_of.load(connection, uid(1)) is not None
        return moved_instances.former_studies(connection, uid(1), [uid(7_000)])

    found = await store.write(former)
    assert len(found) == moved_instances.MOST_FORMER_STUDIES
    assert [one for one, is_taken in found.items() if is_taken] == [uid(7_000)]
