"""Storage commitment: who asks for it learns which instances are safe, sooner or later, and once."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pydicom
from sqlalchemy import func, select

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.destinations import DestinationRetry
from gateway.config.dicom import Dicom
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.studies import SpoolSection, Studies
from gateway.journey.image_forwarding.removal import ImageRemoval
from gateway.operations.parked import parked_work
from gateway.records.completeness import EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import completeness
from gateway.store.schema import refusals, storage_commitments
from tests.conftest import until
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_image_forwarding import CT, STUDY, instances, send, to
from tests.peers.pynetdicom_commitment import Reports, ask, asking, reports_at, wanted
from tests.peers.pynetdicom_store import storage_scp

CT_CLASS = str(CT.SOPClassUID)


def reporting_to(port: int, name: str = "ct1", title: str = "CT1", **values: Any) -> DicomDestination:
    retry = DestinationRetry(first_seconds=0.05, max_seconds=0.1)
    return DicomDestination(
        **{"name": name, "ae_title": title, "port": port, "commitment_reports": True, "timeout_seconds": 60,
           "retry": retry, **values}
    )  # fmt: skip


def committing(spool: Path, *destinations: DicomDestination, wait: float = 0.5) -> dict[str, Any]:
    section = SpoolSection(folder=spool, free_gb=0)
    dicom = Dicom(port=0, destinations=list(destinations), commitment_wait_seconds=wait)
    return {"dicom": dicom, "studies": Studies(quiet_seconds=0.3, storage="forward", spool=section)}


def refs(*numbers: int, sop_class: str = CT_CLASS) -> list[tuple[str, str]]:
    return [(sop_class, f"{STUDY}.1.{number}") for number in numbers]


def uids(*numbers: int) -> list[str]:
    return [uid for _, uid in refs(*numbers)]


async def asked(
    gateway: app.Running, *requests: pydicom.Dataset, reports: Reports | None = None, **how: Any
) -> list[int]:
    """Ask over one association, which ends behind it."""

    def work() -> list[int]:
        with asking(gateway.dicom_port, reports, **how) as association:
            return [ask(association, one) for one in requests]

    return await asyncio.to_thread(work)


async def transactions(gateway: app.Running) -> list[Any]:
    return list(await gateway.store.read(lambda connection: connection.execute(select(storage_commitments)).all()))


async def test_the_report_goes_to_the_modality_once_it_listens(start: Start, tmp_path: Path) -> None:
    """It is off when it would get the report, and the gateway is started again meanwhile. What it names is evidence of
    what the study holds."""
    port = free_port()
    with storage_scp() as archive:
        sections = committing(tmp_path, to(archive.port), reporting_to(port))
        request = wanted(refs(1, 2, 3))
        async with start(**sections) as gateway:
            await send(gateway, *instances(3))
            assert await asked(gateway, request) == [0]
            await until(lambda: len(archive.data_sets) == 3)
            [stated] = await gateway.store.read(partial(completeness.of_study, study_uid=StudyInstanceUID(STUDY)))
        with reports_at(port) as reports:
            async with start(**sections) as gateway:
                await quiet(gateway)
                [kept] = await transactions(gateway)
    assert reports.of(request.TransactionUID) == [{"event": 1, "committed": uids(1, 2, 3), "failed": {}}]
    assert kept.received_at <= kept.decided_at <= kept.reported_at
    assert (stated.kind, stated.sop_uids) == (EvidenceKind.COMMITMENT, frozenset(uids(1, 2, 3)))


@sqlite
async def test_the_report_comes_over_the_association_of_the_request(start: Start, tmp_path: Path) -> None:
    """Nothing listens where the modality is called, and the association stays open."""
    with storage_scp() as archive:
        sections = committing(tmp_path, to(archive.port), reporting_to(free_port()))
        async with start(**sections) as gateway:
            await send(gateway, *instances(2))
            known, unknown = Reports(), Reports()
            one, other = wanted(refs(1, 2)), wanted(refs(2, 9))

            def work() -> None:
                port = gateway.dicom_port
                with asking(port, known) as first, asking(port, unknown, title="CT9") as second:
                    assert [ask(first, one), ask(second, other)] == [0, 0]
                    assert known.arrived.wait(120)
                    assert unknown.arrived.wait(120)

            await asyncio.to_thread(work)
            await quiet(gateway)
    assert known.of(one.TransactionUID) == [{"event": 1, "committed": uids(1, 2), "failed": {}}]
    assert unknown.of(other.TransactionUID) == [{"event": 2, "committed": uids(2), "failed": {uids(9)[0]: 0x0112}}]


@sqlite
async def test_a_modality_that_ends_the_association_at_the_report_is_called(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive, reports_at() as reports:
        async with start(**committing(tmp_path, to(archive.port), reporting_to(reports.port))) as gateway:
            await send(gateway, *instances(1))
            ending, request = Reports(aborts=True), wanted(refs(1))

            def work() -> None:
                with asking(gateway.dicom_port, ending) as association:
                    assert ask(association, request) == 0
                    assert reports.arrived.wait(120)

            await asyncio.to_thread(work)
            await quiet(gateway)
    committed = [{"event": 1, "committed": uids(1), "failed": {}}]
    assert ending.of(request.TransactionUID) == reports.of(request.TransactionUID) == committed


@sqlite
async def test_what_is_reported_of_what_is_not_safe(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive, reports_at() as reports:
        sections = committing(tmp_path, to(archive.port, calling_aes=["CT1"]), reporting_to(reports.port))
        async with start(**sections) as gateway:
            await send(gateway, *instances(2))
            await send(gateway, *instances(1, first=3), calling_ae="CT2")
            request = wanted([*refs(1), *refs(2, sop_class="1.2.840.10008.5.1.4.1.1.4"), *refs(3, 4)])
            assert await asked(gateway, request) == [0]
            await quiet(gateway)
    failed = dict(zip(uids(2, 3, 4), (0x0119, 0x0110, 0x0112), strict=True))
    assert reports.of(request.TransactionUID) == [{"event": 2, "committed": uids(1), "failed": failed}]


@sqlite
async def test_instances_that_come_after_the_request_are_waited_for(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive, reports_at() as reports:
        sections = committing(tmp_path, to(archive.port), reporting_to(reports.port), wait=30)
        async with start(**sections) as gateway:
            request = wanted(refs(1, 2))
            await asked(gateway, request)
            await send(gateway, *instances(2))
            await quiet(gateway)
    assert reports.of(request.TransactionUID) == [{"event": 1, "committed": uids(1, 2), "failed": {}}]


@sqlite
async def test_what_has_left_the_spool_is_committed(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive, reports_at() as reports:
        sections = committing(tmp_path, to(archive.port), reporting_to(reports.port))
        async with start(**sections) as gateway:
            await send(gateway, *instances(2))
            await quiet(gateway)
            assert await ImageRemoval(gateway.store, tmp_path, 0.0, now).remove() == 2
            request = wanted(refs(1, 2))
            await asked(gateway, request)
            await quiet(gateway)
    assert reports.of(request.TransactionUID) == [{"event": 1, "committed": uids(1, 2), "failed": {}}]


@sqlite
async def test_a_request_again_is_the_same_transaction(start: Start, tmp_path: Path) -> None:
    """Other references under its Transaction UID are another, which fails."""
    with storage_scp() as archive, reports_at() as reports:
        sections = committing(tmp_path, to(archive.port), reporting_to(reports.port))
        async with start(**sections) as gateway:
            await send(gateway, *instances(2))
            request = wanted(refs(1, 2))
            await asked(gateway, request)
            await quiet(gateway)
            await asked(gateway, request)
            await quiet(gateway)
            rows = await gateway.store.read(
                lambda c: c.execute(select(func.count()).select_from(storage_commitments)).scalar()
            )
            await asked(gateway, wanted(refs(1), request.TransactionUID))
            await quiet(gateway)
    whole = {"event": 1, "committed": uids(1, 2), "failed": {}}
    assert rows == 1
    assert reports.of(request.TransactionUID) == [
        whole,
        whole,
        {"event": 2, "committed": [], "failed": {uids(1)[0]: 0x0131}},
    ]


@sqlite
async def test_requests_that_cannot_be_answered_are_refused(start: Start, tmp_path: Path) -> None:
    async with start(**committing(tmp_path)) as gateway:
        nameless, empty = wanted(refs(1)), wanted([])
        del nameless.TransactionUID

        def work() -> list[int]:
            with asking(gateway.dicom_port) as association:
                request = wanted(refs(1))
                return [
                    ask(association, nameless), ask(association, empty), ask(association, request, action=2),
                    ask(association, request, instance="1.2.3"),
                ]  # fmt: skip

        assert await asyncio.to_thread(work) == [0x0115, 0x0115, 0x0123, 0x0112]
        kept = await gateway.store.read(lambda c: c.execute(select(refusals.c.reason)).scalars().all())
    assert [one.split(":")[0] for one in kept] == [
        "N-ACTION 0115 TransactionUID",
        "N-ACTION 0115 ReferencedSOPSequence",
    ]


@sqlite
async def test_a_peer_without_an_address_that_has_gone_needs_a_person(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive:
        async with start(**committing(tmp_path, to(archive.port), wait=0.2)) as gateway:
            request = wanted(refs(1))
            await asked(gateway, request, title="CT9")
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert parked["subject"] == request.TransactionUID
    assert "no destination with commitment_reports" in parked["outcome"]["error"]


@sqlite
async def test_answers_to_a_report(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive, reports_at(roles=False) as reports:
        reports.answers = [0x0213, 0x0110, 0x0000, 0x0115]
        async with start(**committing(tmp_path, to(archive.port), reporting_to(reports.port))) as gateway:
            await send(gateway, *instances(1))
            await asked(gateway, wanted(refs(1)))
            await quiet(gateway)
            assert len(reports.came) == 3
            await asked(gateway, wanted(refs(1)))
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert parked["outcome"]["error"] == "N-EVENT-REPORT status 0115"


@sqlite
async def test_nothing_is_committed_where_only_headers_are_kept(start: Start) -> None:
    async with start() as gateway:

        def work() -> bool:
            with asking(gateway.dicom_port) as association:
                return bool(association.is_established)

        assert not await asyncio.to_thread(work)
