"""When a study is looked at that may settle: what moves its row, and what a look leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, select

from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival
from gateway.records.completeness import Decision, Evidence, EvidenceKind, Reason
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.work import SETTLE, Work
from gateway.store import Store, outbox_claims, settling, station_pauses, studies, study_arrivals
from gateway.store.outbox_claims import Done
from gateway.store.schema import outbox as table
from gateway.store.settling import GRACE_MICROS, Wait
from tests.store.work import SECOND, claiming

NOW = 1_900_000_000_000_000
UID = StudyInstanceUID("1.2.3")
WAIT = Wait(30 * SECOND, 600 * SECOND)
COMPLETED = Evidence(EvidenceKind.MPPS_COMPLETED, "1.2.4", NOW, frozenset({"1.2.3.1", "1.2.3.2"}))


def _comes(number: int, at: int = NOW, uid: StudyInstanceUID = UID, wait: Wait = WAIT) -> Callable[[Connection], None]:
    """An instance comes, as every source hands it on."""
    arrival = InstanceArrival(
        uid, {}, SeriesInstanceUID(f"{uid}.0"), {}, SOPInstanceUID(f"{uid}.{number}"), "1.2.840.10008.5.1.4.1.1.2", {},
        "1.2.840.10008.1.2.1", b"", str(number).encode(), "CT1", at,
    )  # fmt: skip

    def keep(connection: Connection) -> None:
        kept = study_arrivals.keep(connection, arrival, AgreementRules())
        settling.arrived(connection, uid, wait, now=at, is_stated=kept.is_stated)

    return keep


async def _rows(store: Store) -> list[tuple[str, int]]:
    wanted = select(table.c.state, table.c.due_at).where(table.c.kind == str(SETTLE)).order_by(table.c.id)
    return [(one.state, one.due_at) for one in await store.read(lambda connection: connection.execute(wanted).all())]


async def _claimed(store: Store, at: int) -> Work:
    (work,) = await store.write(claiming(at, kind=SETTLE))
    return work


async def _look(store: Store, work: Work, at: int) -> settling.Look:
    return await store.read(partial(settling.look, work=work, now=at, longest=WAIT.longest))


async def _waits(store: Store, work: Work, at: int, until: int) -> None:
    also = partial(settling.wait, work=work, now=at, longest=WAIT.longest)
    assert await store.write(partial(outbox_claims.close_all, closed=[(work, Done(until=until, also=also))], now=at))


async def _settles(store: Store, work: Work, at: int) -> None:
    def mark(connection: Connection) -> None:
        row = studies.get(connection, UID)
        assert row is not None
        because = Decision(Reason.QUIET)
        studies.mark_settled(connection, row["id"], revision=row["revision"], now=at, because=because)

    assert await store.write(partial(outbox_claims.close_all, closed=[(work, Done(also=mark))], now=at))


async def test_one_settling_waits_and_is_put_off_by_each_instance(store: Store) -> None:
    for second in (1, 2, 3):
        await store.write(_comes(second, NOW + second * SECOND))
    await store.write(_comes(1, uid=StudyInstanceUID("1.2.4")))
    assert await _rows(store) == [("pending", NOW + 33 * SECOND), ("pending", NOW + 30 * SECOND)]


async def test_a_settling_under_way_is_followed_by_another(store: Store) -> None:
    await store.write(_comes(1))
    work = await _claimed(store, NOW + 30 * SECOND)
    for second in (31, 32):
        await store.write(_comes(second, NOW + second * SECOND))
    assert await _rows(store) == [("leased", NOW + 30 * SECOND), ("pending", NOW + 62 * SECOND)]
    await _settles(store, work, NOW + 33 * SECOND)
    assert (await _claimed(store, NOW + 62 * SECOND)).subject == UID


async def test_a_study_that_never_is_quiet_is_looked_at_all_the_same(store: Store) -> None:
    for number in range(80):
        await store.write(_comes(number, NOW + number * 10 * SECOND))
    assert await _rows(store) == [("pending", NOW + 600 * SECOND)]
    work = await _claimed(store, NOW + 600 * SECOND)
    assert (await _look(store, work, NOW + 600 * SECOND)).decision == Decision(Reason.LONGEST_WAIT)


async def test_two_processes_that_see_one_study_leave_one_settling(shared_postgres: str) -> None:
    stores = await asyncio.gather(*(Store.open(shared_postgres) for _ in range(3)))
    await asyncio.gather(*(store.write(_comes(number)) for number, store in enumerate(stores * 5)))
    assert len(await _rows(stores[0])) == 1
    await asyncio.gather(*(store.close() for store in stores))


async def test_what_is_stated_pulls_a_look_forward(store: Store) -> None:
    await store.write(_comes(1))
    await store.write(_comes(2))
    stated = partial(settling.state, study_uid=UID, evidence=COMPLETED)
    await store.write(stated)
    assert await _rows(store) == [("pending", NOW + GRACE_MICROS)]
    work = await _claimed(store, NOW + GRACE_MICROS)
    look = await _look(store, work, NOW + GRACE_MICROS)
    assert look.decision == Decision(Reason.EVIDENCE, EvidenceKind.MPPS_COMPLETED, 2, 0)


async def test_an_instance_of_which_something_is_stated_is_looked_at_soon(store: Store) -> None:
    await store.write(partial(settling.state, study_uid=UID, evidence=COMPLETED))
    assert await _rows(store) == [], "nothing of the study has come"
    await store.write(_comes(1))
    assert await _rows(store) == [("pending", NOW + GRACE_MICROS)]
    work = await _claimed(store, NOW + GRACE_MICROS)
    decision, until = await _look(store, work, NOW + GRACE_MICROS)
    assert (decision, until) == (Decision(Reason.LACKING, EvidenceKind.MPPS_COMPLETED, 2, 1), NOW + 600 * SECOND)
    await _waits(store, work, NOW + GRACE_MICROS, until)
    assert await _rows(store) == [("pending", NOW + 600 * SECOND)]
    await store.write(_comes(2, NOW + 180 * SECOND))
    assert await _rows(store) == [("pending", NOW + 180 * SECOND + GRACE_MICROS)]
    work = await _claimed(store, NOW + 181 * SECOND)
    assert work.attempts == 0, "waiting is no try"
    assert (await _look(store, work, NOW + 181 * SECOND)).decision.reason is Reason.EVIDENCE


async def test_what_comes_during_a_look_is_looked_at_in_its_place(store: Store) -> None:
    await store.write(partial(settling.state, study_uid=UID, evidence=COMPLETED))
    await store.write(_comes(1))
    work = await _claimed(store, NOW + GRACE_MICROS)
    until = (await _look(store, work, NOW + GRACE_MICROS)).until
    await store.write(_comes(3, NOW + GRACE_MICROS))
    await _waits(store, work, NOW + GRACE_MICROS, until)
    assert await _rows(store) == [("pending", NOW + 2 * GRACE_MICROS), ("superseded", NOW + 2 * GRACE_MICROS)]
    work = await _claimed(store, NOW + 2 * GRACE_MICROS)
    until = (await _look(store, work, NOW + 2 * GRACE_MICROS)).until
    assert until == NOW + 600 * SECOND, "still counted from the first instance"
    more = Evidence(EvidenceKind.MPPS_COMPLETED, "1.2.4", NOW, frozenset({"1.2.3.1"}))
    await store.write(partial(settling.state, study_uid=UID, evidence=more))
    await _waits(store, work, NOW + 3 * GRACE_MICROS, until)
    assert (await _rows(store))[0] == ("pending", NOW + 3 * GRACE_MICROS), "what was stated meanwhile is looked at"


async def test_a_person_is_not_kept_waiting(store: Store) -> None:
    await store.write(partial(settling.state, study_uid=UID, evidence=COMPLETED))
    await store.write(_comes(1))
    await store.write(partial(settling.ask, study_uid=UID, now=NOW))
    work = await _claimed(store, NOW)
    assert (await _look(store, work, NOW)).decision == Decision(Reason.ASKED)


async def test_a_change_is_a_revision_and_not_kept_waiting_for_instances_that_never_came(store: Store) -> None:
    async def revision() -> int:
        row = await store.read(partial(studies.get, study_uid=UID))
        assert row is not None
        return int(row["revision"])

    await store.write(partial(settling.state, study_uid=UID, evidence=COMPLETED))
    await store.write(_comes(1))
    first = await revision()
    await store.write(partial(settling.changed, study_uid=UID, now=NOW))
    assert len(await _rows(store)) == 1, "it is looked at anyway"
    assert await revision() == first + 1
    await _settles(store, await _claimed(store, NOW + GRACE_MICROS), NOW + GRACE_MICROS)
    await store.write(partial(settling.changed, study_uid=UID, now=NOW + 2 * GRACE_MICROS))
    assert await revision() == first + 2
    work = await _claimed(store, NOW + 2 * GRACE_MICROS)
    assert (await _look(store, work, NOW + 2 * GRACE_MICROS)).decision == Decision(Reason.CHANGED)


async def test_an_instance_that_is_named_may_have_come_in_another_study(store: Store) -> None:
    await store.write(_comes(1))
    await store.write(partial(settling.state, study_uid=UID, evidence=COMPLETED))
    elsewhere = _comes(2, uid=StudyInstanceUID("1.2.9"))
    named = Evidence(EvidenceKind.AVAILABILITY, "1.2.5", NOW, frozenset({"1.2.3.1", "1.2.9.2"}))
    await store.write(partial(settling.state, study_uid=UID, evidence=named))
    await store.write(partial(settling.state, study_uid=UID, evidence=_of_one()))
    before = await store.read(partial(settling.outlook, study_uid=UID, now=NOW))
    await store.write(elsewhere)
    after = await store.read(partial(settling.outlook, study_uid=UID, now=NOW))
    assert (before and before.reason, after and after.reason) == (Reason.LACKING, Reason.EVIDENCE)


def _of_one() -> Evidence:
    return Evidence(EvidenceKind.MPPS_COMPLETED, "1.2.4", NOW, frozenset({"1.2.3.1"}))


async def test_the_longest_pause_of_a_study_is_kept_for_its_station(store: Store) -> None:
    for number, second in enumerate((0, 3, 10, 11, 10_000)):
        await store.write(_comes(number, NOW + second * SECOND))
    pause = await store.read(partial(station_pauses.longest_pause, study_uid=UID, most=600 * SECOND))
    assert pause == 7 * SECOND, "what came hours later was another sending"

    def mark(connection: Connection) -> None:
        row = studies.get(connection, UID)
        assert row is not None
        because = Decision(Reason.QUIET)
        studies.mark_settled(connection, row["id"], revision=1, now=NOW, because=because, longest_pause=pause)

    await store.write(mark)
    assert await store.read(station_pauses.pauses_by_station) == {"CT1": [7 * SECOND]}
