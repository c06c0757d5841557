"""How instances stand at destinations, and which files nobody needs any more."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from sqlalchemy import Connection, insert, select, update

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.image_forwarding import ImageStanding
from gateway.records.work import Lane, WorkState, images_to
from gateway.store import Store, image_forwards, outbox, pixel_files
from gateway.store.schema import instances, series
from gateway.store.schema import outbox as table
from tests.store.test_pixel_files import EXPLICIT, an_instance, stored

STUDY = StudyInstanceUID("1.2.3")


def more(connection: Connection) -> None:
    """The study with two instances and their files, each waiting for two archives since 10 µs."""
    first = an_instance(connection)
    row = connection.execute(select(instances).where(instances.c.id == first)).mappings().one()
    connection.execute(insert(instances), {**row, "id": first + 1, "sop_uid": "1.2.6"})
    for number, uid in ((first, "1.2.5"), (first + 1, "1.2.6")):
        pixel_files.keep(connection, number, stored(uid), EXPLICIT, 10)
        for name in ("a", "b"):
            lane = Lane(images_to(name), StudyInstanceUID(uid))
            outbox.enqueue(connection, lane=lane, payload={}, due_at=10, now=10)


def state(connection: Connection, state: WorkState, *, kind: str = "", subject: str = "") -> None:
    wanted = update(table).values(state=state.value, finished_at=20)
    wanted = wanted.where(table.c.kind == kind) if kind else wanted
    connection.execute(wanted.where(table.c.subject == subject) if subject else wanted)


@pytest.fixture
async def study(store: Store) -> Store:
    await store.write(more)
    return store


def confirmed(connection: Connection, *, before: int = 100) -> int:
    return len(image_forwards.confirmed_behind(connection, before=before, after=0, limit=10)[1])


async def test_the_newest_work_of_each_instance_counts(study: Store) -> None:
    def unit(connection: Connection) -> None:
        state(connection, WorkState.DONE, kind="store:a")
        state(connection, WorkState.PARKED, kind="store:b", subject="1.2.5")
        [a, b] = image_forwards.standings(connection, 1)
        assert (a.destination, a.numbers, a.last_at) == ("a", {ImageStanding.SENT: 2}, 20)
        assert (b.destination, b.numbers) == ("b", {ImageStanding.FAILED: 1, ImageStanding.WAITING: 1})
        lane = Lane(images_to("a"), StudyInstanceUID("1.2.5"))
        outbox.enqueue(connection, lane=lane, payload={}, due_at=30, now=30, supersede=True)
        [a, _] = image_forwards.standings(connection, 1)
        assert a.numbers == {ImageStanding.SENT: 1, ImageStanding.WAITING: 1}
        assert image_forwards.standings(connection, 2) == []

    await study.write(unit)


async def test_a_file_is_confirmed_by_every_destination(study: Store) -> None:
    def unit(connection: Connection) -> None:
        assert confirmed(connection) == 0
        state(connection, WorkState.DONE, kind="store:a")
        for waiting in (WorkState.PENDING, WorkState.LEASED, WorkState.PARKED, WorkState.REJECTED):
            state(connection, waiting, kind="store:b")
            assert confirmed(connection) == 0, waiting
        state(connection, WorkState.DONE, kind="store:b", subject="1.2.5")
        assert confirmed(connection) == 1
        state(connection, WorkState.GIVEN_UP, kind="store:b", subject="1.2.6")
        assert confirmed(connection) == 2
        assert confirmed(connection, before=10) == 0
        state(connection, WorkState.GIVEN_UP)
        assert confirmed(connection) == 0, "nobody has confirmed them"

    await study.write(unit)


async def test_what_was_sent_before_the_instance_came_again_confirms_nothing(study: Store) -> None:
    def unit(connection: Connection) -> None:
        state(connection, WorkState.DONE)
        assert confirmed(connection) == 2
        instance = connection.execute(select(instances.c.id).where(instances.c.sop_uid == "1.2.5")).scalar_one()
        pixel_files.keep(connection, instance, stored("other", "other"), EXPLICIT, 50)
        assert confirmed(connection) == 1
        _, [one] = image_forwards.confirmed_behind(connection, before=100, after=0, limit=10)
        assert image_forwards.remove_confirmed(connection, rows=[one, 1, 2], before=100, now=100) == 1
        assert confirmed(connection) == 0

    await study.write(unit)


async def test_pages_end(study: Store) -> None:
    def unit(connection: Connection) -> None:
        last, _ = image_forwards.confirmed_behind(connection, before=100, after=0, limit=2)
        assert last is not None
        assert image_forwards.confirmed_behind(connection, before=100, after=last, limit=2) == (None, [])

    await study.write(unit)


async def test_a_study_with_work_is_unfinished_and_takes_its_work_along(study: Store) -> None:
    def unit(connection: Connection) -> None:
        assert image_forwards.unfinished(connection, [STUDY, "1.2.99"]) == {STUDY}
        assert image_forwards.waiting(connection, [STUDY]) == 4
        state(connection, WorkState.DONE)
        assert image_forwards.unfinished(connection, [STUDY]) == set()
        assert image_forwards.waiting(connection, [STUDY]) == 0
        tally: Counter[str] = Counter()
        rows = connection.execute(select(instances.c.id).join(series).where(series.c.study == 1)).scalars().all()
        image_forwards.delete_of(connection, tally, rows[:1])
        assert tally["outbox"] == 2
        assert len(connection.execute(select(table.c.id)).all()) == 2

    await study.write(unit)


async def test_files_are_found_by_their_instances(study: Store) -> None:
    files = await study.read(partial(pixel_files.of_instances, rows=[1, 2, 99]))
    assert {row: file.sop_uid for row, file in files.items()} == {1: "1.2.5", 2: "1.2.6"}
