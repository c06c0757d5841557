"""Sources of studies that are asked: what is read again, who polls, what a failure costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.journey.study_arrival.sources.notified import TRIES_OF_LISTED
from gateway.operations.receivers import ReceiverWork, pause_all, resume, states_of
from gateway.records.receiver import Receiver, ReceiverType
from gateway.records.work import studies_at
from gateway.store.schema import outbox, refusals
from tests.conftest import comes_true
from tests.journey.running import Start, sqlite
from tests.journey.test_polled_sources import asked, holds, state
from tests.peers.qido import HeldStudy, QidoArchive, instance_of, json, qido_archive

PACS = Receiver("pacs", ReceiverType.SOURCE)


def pacs(archive: QidoArchive) -> dict[str, Any]:
    return asked({"name": "pacs", "kind": "dicomweb", "url": archive.url, "every_seconds": 0.05, "since": None})


def held(number: int, instances: int = 2) -> HeldStudy:
    return HeldStudy(f"1.2.{number}", f"{datetime.now(UTC):%Y%m%d}", instances)


async def polled(gateway: app.Running, archive: QidoArchive, times: int = 2) -> None:
    """Wait for so many whole polls more."""
    wanted = len(archive.queries) + 2 * times
    await comes_true(partial(number_of, archive), lambda number: number >= wanted)


async def number_of(archive: QidoArchive) -> int:
    return len(archive.queries)


async def retrieved(archive: QidoArchive, uid: str) -> int:
    return archive.retrieved.count(uid)


async def receiver(gateway: app.Running) -> ReceiverWork:
    [found] = await gateway.store.read(partial(states_of, receivers=[PACS]))
    return found


@sqlite
async def test_what_is_stated_unchanged_is_not_read_again(start: Start) -> None:
    async with qido_archive(held=[held(1), held(2)]) as archive, start(**pacs(archive)) as gateway:
        await holds(gateway, 2, 4)
        await polled(gateway, archive)
        assert sorted(archive.retrieved) == ["1.2.1", "1.2.2"]
        archive.held[0] = held(1, 3)
        await holds(gateway, 2, 5)
        await polled(gateway, archive)
        assert sorted(archive.retrieved) == ["1.2.1", "1.2.1", "1.2.2"]
        archive.held[1] = replace(held(2), patient="ROE^JANE")
        await comes_true(partial(retrieved, archive, "1.2.2"), lambda number: number == 2)
        polls = select(outbox.c.id).where(outbox.c.kind == "poll:pacs")
        assert len(await gateway.store.read(lambda c: c.execute(polls).all())) <= 2, "polls leave no rows behind"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_of_two_gateways_one_polls_at_a_time(start: Start) -> None:
    async with qido_archive(held=[held(number) for number in range(20)]) as archive:
        async with start(**pacs(archive)) as gateway, start(**pacs(archive)):
            await holds(gateway, 20, 40)
            await polled(gateway, archive)
            polls = select(outbox.c.id).where(outbox.c.kind == "poll:pacs", outbox.c.state != "done")
            assert len(await gateway.store.read(lambda c: c.execute(polls).all())) == 1
        assert sorted(archive.retrieved) == sorted(one.uid for one in archive.held), "each was read once"


@sqlite
async def test_a_source_that_fails_is_asked_again_and_shown_meanwhile(start: Start) -> None:
    first = [web.Response(status=500) for _ in range(1_000)]
    async with qido_archive(held=[held(1)], next_answers=first) as archive, start(**pacs(archive)) as gateway:
        failed = await comes_true(partial(state, gateway, "pacs"), lambda one: one.failed_at)
        assert "HTTP 500" in failed.error
        archive.next_answers[:] = [web.Response(status=401), web.Response(text="<html>")]
        await holds(gateway, 1, 2)
        found = await comes_true(partial(state, gateway, "pacs"), lambda one: one.polled_at)
        assert (found.failed_at, found.error) == (None, "")
        for path, shown in (("deliveries", "listed to"), ("api/receivers", '"reached"')):
            async with ClientSession() as session:
                page = await (await session.get(f"http://127.0.0.1:{gateway.http_port}/{path}")).text()
            assert shown in page, path


@sqlite
async def test_metadata_that_are_cut_off_are_read_again(start: Start) -> None:
    study = held(1)
    whole = json([instance_of(study, number) for number in range(2)])
    given = iter((web.Response(text='[{"0020000D": {}'), web.Response(text="<html>"), whole))
    metadata = {study.uid: lambda: next(given)}
    async with qido_archive(held=[study], metadata=metadata) as archive, start(**pacs(archive)) as gateway:
        await holds(gateway, 1, 2)


@sqlite
async def test_what_is_listed_and_not_given_yet_is_read_again(start: Start) -> None:
    """Of a study of which the archive gives nothing at first, then a part, and of one whose instance never comes."""
    study, short = held(1, 3), held(2, 3)
    parts = [json([instance_of(study, number) for number in range(count)]) for count in (0, 1, 3)]
    metadata = {study.uid: lambda: parts.pop(0), short.uid: lambda: json([instance_of(short, 0), {}])}
    archive_of = partial(qido_archive, held=[study, short], metadata=metadata)
    async with archive_of() as archive, start(**pacs(archive)) as gateway:
        await holds(gateway, 2, 4)
        done = select(outbox.c.attempts).where(outbox.c.subject == short.uid, outbox.c.state == "done")
        await comes_true(lambda: gateway.store.read(lambda c: c.execute(done).scalar()), bool)
        await polled(gateway, archive)
        assert archive.retrieved.count(short.uid) == TRIES_OF_LISTED + 1


@sqlite
async def test_a_part_of_a_study_that_is_no_instance_costs_only_itself(start: Start) -> None:
    study = held(1)
    without_uid = {tag: one for tag, one in instance_of(study, 7).items() if tag != "00080018"}
    odd = {**instance_of(study, 8), "00081030": {"vr": "LO", "Value": {"no": "array"}}, "00081140": 7}
    answer = json([instance_of(study, 0), without_uid, odd])
    metadata = {study.uid: lambda: answer}
    async with qido_archive(held=[study], metadata=metadata) as archive, start(**pacs(archive)) as gateway:
        await holds(gateway, 1, 2)
        refused = await gateway.store.read(lambda c: c.execute(select(refusals.c.source, refusals.c.reason)).all())
        assert [(one.source, "SOPInstanceUID" in one.reason) for one in refused] == [(f"pacs {archive.url}", True)]


@sqlite
async def test_a_source_is_paused_like_a_receiver(start: Start) -> None:
    async with qido_archive(held=[held(1)]) as archive, start(**pacs(archive)) as gateway:
        await holds(gateway, 1, 2)
        pause = partial(pause_all, receivers=[PACS], person="anna", now=1)
        await gateway.store.write(pause)
        # A poll that was under way ends.
        await comes_true(partial(is_pending, gateway), bool)
        before = len(archive.queries)
        archive.held.append(held(2))
        shown = await comes_true(partial(receiver, gateway), lambda one: not one.waiting)
        assert (shown.pause is not None, shown.waiting, shown.source and shown.source.listed) == (True, 0, before // 2)
        await gateway.store.write(partial(resume, receivers=[PACS], names=["pacs"]))
        await holds(gateway, 2, 4)


async def is_pending(gateway: app.Running) -> bool:
    states = select(outbox.c.state).where(outbox.c.kind == "poll:pacs").order_by(outbox.c.id.desc()).limit(1)
    return bool((await gateway.store.read(lambda c: c.execute(states).scalar())) == "pending")


ABSURD = [
    {"0020000D": {"vr": "UI", "Value": [uid]}, "00201208": {"vr": "IS", "Value": [count]}}
    for uid, count in (
        ("1.2.50", "1E999"), ("1.2.51", "9" * 40), ("1.2.52", "9" * 5000), ("1.2.53", -3), ("1.2.54", "nan"),
        ("1.2\x00.3", 1), ("1." * 5000, 1), ("../..\n", 1),
    )
]  # fmt: skip


@sqlite
async def test_absurd_values_of_a_list_cost_themselves_alone(start: Start) -> None:
    absurd = [json([*ABSURD, {"0020000D": {"vr": "UI", "Value": ["1.2.1"]}}])]
    async with qido_archive(held=[held(1)], next_answers=absurd) as archive, start(**pacs(archive)) as gateway:
        await holds(gateway, 1, 2)
        found = await comes_true(partial(state, gateway, "pacs"), lambda one: one.polled_at)
        assert (found.failed_at, found.error, found.dropped) == (None, "", 2)
        wanted = select(outbox.c.subject).where(outbox.c.kind == str(studies_at("pacs")))
        rows = await gateway.store.read(lambda c: c.execute(wanted).scalars().all())
        assert set(rows) >= {f"1.2.5{number}" for number in range(5)}
