"""What may happen to a transaction while it waits: doubts of the modality, instances that are deleted or come again."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, func, select

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.config.dicom import Dicom
from gateway.operations.parked import parked_work
from gateway.store import commitments
from gateway.store.schema import instances as kept_instances
from gateway.store.schema import outbox
from tests.conftest import comes_true, until
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_image_forwarding import instances, send, to
from tests.journey.test_storage_commitment import asked, committing, refs, reporting_to, transactions, uids
from tests.peers.pynetdicom_commitment import reports_at, wanted
from tests.peers.pynetdicom_store import storage_scp


@sqlite
async def test_looks_for_instances_are_no_doubts(start: Start, tmp_path: Path) -> None:
    """A modality that answers 0110 is asked five times, however long its instances were waited for."""
    with storage_scp() as archive, reports_at() as reports:
        reports.answers = [0x0213, *[0x0110] * 5]
        sections = committing(tmp_path, to(archive.port), reporting_to(reports.port), wait=4)
        async with start(**sections) as gateway:
            await asked(gateway, wanted(refs(9)))
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert parked["outcome"]["error"] == "N-EVENT-REPORT status 0110"
    assert len(reports.came) == 6


async def tries(gateway: app.Running) -> int:
    """How often the report that waits was tried."""
    most = select(func.max(outbox.c.attempts))
    return int(await gateway.store.read(lambda connection: connection.execute(most).scalar_one()))


async def test_a_transaction_fails_of_which_an_instance_is_deleted_meanwhile(start: Start, tmp_path: Path) -> None:
    """Without it the report would let it pass for committed. The same request later is a transaction that fails."""
    port = free_port()
    with storage_scp() as archive:
        sections = committing(tmp_path, to(archive.port), reporting_to(port))
        async with start(**sections) as gateway:
            await send(gateway, *instances(2))
            request = wanted(refs(1, 2))
            await asked(gateway, request)

            def forget(connection: Connection) -> None:
                rows = select(kept_instances.c.id).where(kept_instances.c.sop_uid == uids(2)[0])
                commitments.forget(connection, Counter(), connection.execute(rows).scalars().all())

            await comes_true(lambda: transactions(gateway), lambda found: found[0].decided_at)
            await gateway.store.write(forget)
            # A try that began before may have read the instance: it is over once another has begun.
            before = await tries(gateway)
            await comes_true(lambda: tries(gateway), lambda number: number >= before + 2)
            with reports_at(port) as reports:
                await quiet(gateway)
                await gateway.store.write(forget)
                await asked(gateway, request)
                await quiet(gateway)
    one, two = uids(1, 2)
    assert reports.of(request.TransactionUID) == [
        {"event": 2, "committed": [], "failed": {one: 0x0110}},
        {"event": 2, "committed": [], "failed": {one: 0x0131, two: 0x0131}},
    ]


@sqlite
async def test_what_was_sent_before_it_came_again_is_another_file(start: Start, tmp_path: Path) -> None:
    """The archive has the first, and nobody gets the second."""
    with storage_scp() as archive, reports_at() as reports:
        async with start(**committing(tmp_path, to(archive.port), reporting_to(reports.port))) as gateway:
            await send(gateway, *instances(1))
            await quiet(gateway)
        async with start(**committing(tmp_path, reporting_to(reports.port))) as gateway:
            await send(gateway, *instances(1, fill=7))
            request = wanted(refs(1))
            await asked(gateway, request)
            await quiet(gateway)
    assert reports.of(request.TransactionUID) == [{"event": 2, "committed": [], "failed": {uids(1)[0]: 0x0110}}]


@sqlite
async def test_what_was_asked_for_is_reported_where_only_headers_are_kept_now(start: Start, tmp_path: Path) -> None:
    """Also to those without a destination: a person is asked after a while, nobody can call them."""
    port = free_port()
    with storage_scp() as archive:
        async with start(**committing(tmp_path, to(archive.port), reporting_to(port), wait=0.2)) as gateway:
            await send(gateway, *instances(1))
            request, unlisted = wanted(refs(1)), wanted(refs(1, 2))
            await asked(gateway, request)
            await asked(gateway, unlisted, title="CT9")
    with reports_at(port) as reports:
        async with start(dicom=Dicom(port=0, destinations=[reporting_to(port)])) as gateway:
            await comes_true(lambda: transactions(gateway), lambda found: all(one.decided_at for one in found))
            await until(reports.arrived.is_set, what="the report")
    assert [one["committed"] for one in reports.of(request.TransactionUID)] == [uids(1)]
