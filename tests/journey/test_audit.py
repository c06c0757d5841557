"""A day's story in the audit trail: orders, query, examination, study, delivery and views, read back by a TLS syslog
receiver and checked against the schema of DICOM."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lxml import etree
from sqlalchemy import text

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.audit import AuditRepository, AuditSection
from gateway.config.dicom import Dicom, DicomPeer
from gateway.config.ehrs import Ehr
from gateway.config.receiver import ClientTls
from gateway.operations.audit import shipping, watching
from gateway.operations.audit.verifying import verify
from gateway.records.audit import Action, AuditEvent, AuditKind, AuditType, Outcome, event_of
from gateway.records.person import Role
from gateway.simulators import modality
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.studies import perform
from gateway.store.audit_listing import rows_after
from gateway.store.audit_log import seal_all
from tests.conftest import comes_true, until
from tests.journey.messages import adt, orm
from tests.journey.modality import begin, end, modality_of
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_order_intake import send
from tests.operations.audit.events import faults
from tests.peers.dcmtk import findscu
from tests.peers.openssl import Authority
from tests.peers.syslog import tls_receiver
from tests.web.browsing import add_user, browser

UID = "1.2.826.0.1.3680043.8.498.7"


async def events(gateway: app.Running) -> list[AuditEvent]:
    """All that is recorded so far, chained."""
    await seal_all(gateway.store)
    return [event_of(row.event) for row in await gateway.store.read(partial(rows_after, sequence=0, limit=1000))]


async def recorded(
    gateway: app.Running, kind: AuditKind, condition: Callable[[AuditEvent], Any] = lambda event: True
) -> AuditEvent:
    """The first event of this kind for which the condition holds, once it is there."""

    async def first() -> AuditEvent | None:
        return next((one for one in await events(gateway) if one.kind is kind and condition(one)), None)

    event: AuditEvent = await comes_true(first)
    return event


async def get(gateway: app.Running, path: str, **headers: str) -> int:
    url = f"http://127.0.0.1:{gateway.http_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        await answer.read()
        return answer.status


@sqlite
async def test_each_station_records_what_it_did(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        begun = await recorded(gateway, AuditKind.APPLICATION_ACTIVITY)
        assert begun.type is AuditType.START

        await send(gateway, orm(), orm(control="CA", control_id="M2", at="20260123130000"), adt("A08", control_id="M3"))
        created = await recorded(gateway, AuditKind.ORDER_RECORD, lambda e: e.action is Action.CREATE)
        assert (created.patients, created.studies, created.accession_numbers) == (("PAT1",), ("1.2.3.4.5",), ("ACC1",))
        assert (created.actor.name, created.actor.address) == ("RIS|HOSP", "127.0.0.1")
        await recorded(gateway, AuditKind.ORDER_RECORD, lambda e: e.action is Action.DELETE)
        await recorded(gateway, AuditKind.PATIENT_RECORD, lambda e: e.action is Action.UPDATE)

        await send(gateway, orm(control_id="M4", accession="ACC2", placer="P2", filler="F2", study_uid="1.2.3.4.6"))
        await findscu(gateway.dicom_port, "PatientID=PAT1", "AccessionNumber")
        query = await recorded(gateway, AuditKind.QUERY)
        assert (query.patients, query.detail["matches"], query.detail["status"]) == (("PAT1",), "1", "0000")
        assert b"PAT1" in base64.b64decode(query.detail["query"])

        items = await modality.query("127.0.0.1", gateway.dicom_port)
        datasets = [one for item in items for one in perform(item, series=2, instances=3)]
        await modality.send("127.0.0.1", gateway.dicom_port, datasets)
        await recorded(gateway, AuditKind.BEGINNING_TRANSFER)
        came = await recorded(gateway, AuditKind.INSTANCES_TRANSFERRED)
        assert sum(int(one.partition("=")[2]) for one in came.detail["instances"].split()) == 6
        assert (came.studies, came.action) == (("1.2.3.4.6",), Action.CREATE)
        await modality.send("127.0.0.1", gateway.dicom_port, datasets[:2])
        again = await recorded(gateway, AuditKind.INSTANCES_TRANSFERRED, lambda e: e.action is Action.READ)
        assert again.note == "2 instances, 2 of them were here already"

        delivered = await recorded(gateway, AuditKind.DATA_EXPORT)
        assert delivered.peer is not None
        assert (delivered.peer.name, delivered.patients, delivered.studies) == ("ehr0", ("PAT1",), ("1.2.3.4.6",))
        assert len(delivered.detail["request"]) == 36, "X-Request-Id, which the EHR's log has too"
        transfers = [one for one in await events(gateway) if one.kind is AuditKind.INSTANCES_TRANSFERRED]
        assert len(transfers) == 2, "one for each study and association"
        assert (await verify(gateway.store)).fault is None


@sqlite
async def test_an_examination_is_recorded(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm())
        console = modality_of(gateway)
        assert (await console.create(begin(), UID)).status == 0
        assert (await console.set(end(), UID)).status == 0
        begun = await recorded(gateway, AuditKind.PROCEDURE_RECORD, lambda e: e.action is Action.CREATE)
        assert (begun.actor.name, begun.detail["performed step"]) == ("CT1", UID)
        assert begun.studies == ("1.2.3.4.5",)
        ended = await recorded(gateway, AuditKind.PROCEDURE_RECORD, lambda e: e.action is Action.UPDATE)
        assert ended.detail["state"] == "COMPLETED"


@sqlite
async def test_who_looked_at_whom_is_recorded(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm())
        paths = (
            "/api/orders?patient=PAT1",
            "/patients/1",
            "/orders/1",
            "/messages/1",
            "/api/messages/1",
            "/system",
            "/health/live",
        )
        for path in paths:
            assert await get(gateway, path, Accept="text/html") == 200, path

        for path in ("/api/orders", "/patients/1", "/orders/1"):
            look = await recorded(gateway, AuditKind.PATIENT_RECORD, partial(_is_at, path))
            assert (look.action, look.patients) == (Action.READ, ("PAT1",)), path
            assert (look.actor.name, look.actor.address) == ("loopback", "127.0.0.1")
        for path in ("/messages/1", "/api/messages/1"):
            look = await recorded(gateway, AuditKind.PATIENT_RECORD, partial(_is_at, path))
            assert (look.patients, look.accession_numbers) == (("PAT1",), ("ACC1",)), path
        shown = {event.detail.get("path") for event in await events(gateway)}
        assert shown.isdisjoint({"/system", "/health/live"}), "nobody's data are there"


def _is_at(path: str, event: AuditEvent) -> bool:
    return event.detail.get("path") == path


@sqlite
async def test_who_was_refused_is_recorded(start: Start) -> None:
    dicom = Dicom(port=0, peers=[DicomPeer(ae_title="CT1")], allowed_calling_aes=["CT1"])
    async with start(dicom=dicom) as gateway:
        await findscu(gateway.dicom_port, "PatientID")
        alert = await recorded(gateway, AuditKind.SECURITY_ALERT)
        assert (alert.type, alert.outcome) == (AuditType.NODE_AUTHENTICATION, Outcome.MINOR_FAILURE)
        assert "is not among the peers" in alert.note


@sqlite
async def test_a_days_story_reaches_a_repository(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "PAUSE_SECONDS", 0.05)
    authority = Authority(tmp_path)
    async with tls_receiver(authority.issue("siem")) as receiver, EhrSimulator() as ehr:
        repository = AuditRepository(
            name="siem", host="localhost", port=receiver.port, tls=ClientTls(ca=authority.certificate)
        )
        async with start(ehr.url, audit=AuditSection(source_id="gw1", repositories=[repository])) as gateway:
            await send(gateway, orm(), adt("A08", control_id="M3"))
            await findscu(gateway.dicom_port, "PatientID=PAT1", "AccessionNumber")
            items = await modality.query("127.0.0.1", gateway.dicom_port)
            datasets = [one for item in items for one in perform(item, series=1, instances=2)]
            await modality.send("127.0.0.1", gateway.dicom_port, datasets)
            assert await get(gateway, "/studies", Accept="text/html") == 200
            await add_user(gateway.store, "vera", Role.ADMIN, now=now())
            async with browser(f"http://127.0.0.1:{gateway.http_port}") as someone:
                assert (await someone.log_in("vera", "not the password")).status == 401
                assert (await someone.log_in("vera")).status == 303
                assert (await someone.press("/", "/logout")).status == 303
            await quiet(gateway)
            logins = {("Login", "4", "vera"), ("Login", "0", "vera"), ("Logout", "0", "vera")}
            wanted = {
                "Order Record", "Patient Record", "Query", "Begin Transferring DICOM Instances",
                "DICOM Instances Transferred", "Export", "DICOM Instances Accessed",
                "User Authentication",
            }  # fmt: skip
            await until(lambda: wanted <= _events_of(receiver.bodies), what="the day at the repository")
            await until(lambda: logins <= _logins_of(receiver.bodies), what="the logins at the repository")
        assert [fault for body in receiver.bodies for fault in faults(body)] == []
        sources = {str(etree.fromstring(body).xpath("string(//@AuditSourceID)")) for body in receiver.bodies}
        assert sources == {"gw1"}


async def test_a_row_that_was_altered_makes_the_first_page_red(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "ChainPace", partial(watching.ChainPace, 0.0, 0.05, 0.05))
    async with start() as gateway:
        await send(gateway, orm())
        await recorded(gateway, AuditKind.ORDER_RECORD)
        await recorded(gateway, AuditKind.APPLICATION_ACTIVITY)
        await until_shown(gateway, "the audit trail is whole")
        altered = text("UPDATE audit SET event = event || ' ' WHERE sequence = 2")
        await gateway.store.write(lambda connection: connection.execute(altered))
        page = await until_shown(gateway, "the audit trail is broken at row 2 (altered)")
        assert "look now" in page
        alert = await recorded(gateway, AuditKind.SECURITY_ALERT)
        assert "row 2 (altered)" in alert.note
        async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.http_port}") as session:
            state = await (await session.get("/api/state")).json()
            assert ("chain", "bad") in {(part["kind"], part["level"]) for part in state["parts"]}
            metrics = await (await session.get("/metrics")).text()
            assert "gateway_audit_chain_broken 1.0" in metrics
            assert 'gateway_part_state{kind="chain",name=""} 2.0' in metrics
            assert (await session.get("/health/ready")).status == 200, "orders and images go on"


async def until_shown(gateway: app.Running, words: str) -> str:
    """The first page, once it states this."""
    async with aiohttp.ClientSession() as session:

        async def page() -> str:
            async with session.get(f"http://127.0.0.1:{gateway.http_port}/", headers={"Accept": "text/html"}) as answer:
                return await answer.text()

        return str(await comes_true(page, lambda text: words in text))


@sqlite
async def test_an_ehr_that_takes_audit_events_gets_the_story(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "PAUSE_SECONDS", 0.05)
    async with EhrSimulator() as ehr, start(ehrs=[Ehr(name="ehr0", url=ehr.url, audit_events=True)]) as gateway:
        await send(gateway, orm())
        items = await modality.query("127.0.0.1", gateway.dicom_port)
        datasets = [one for item in items for one in perform(item, series=1, instances=2)]
        await modality.send("127.0.0.1", gateway.dicom_port, datasets)
        await quiet(gateway)
        # The delivery; Order Record, Query, DICOM Instances Transferred, of which the last two are noted beside.
        wanted = {"rest", "110109", "110112", "110104"}
        await until(lambda: wanted <= _types(ehr), what="the story at the EHR")
        url = f"http://127.0.0.1:{gateway.http_port}/api/state"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            parts = (await answer.json())["parts"]
        [part] = [part for part in parts if part["kind"] == "audit"]
        assert (part["name"], part["level"]) == ("ehr:ehr0", "good")


def _types(ehr: EhrSimulator) -> set[str]:
    return {resource["type"]["code"] for resource in ehr.resources("AuditEvent")}


def _events_of(bodies: list[bytes]) -> set[str]:
    return {str(etree.fromstring(body).xpath("string(EventIdentification/EventID/@originalText)")) for body in bodies}


def _logins_of(bodies: list[bytes]) -> set[tuple[str, str, str]]:
    """Type, outcome and user of each login and logout."""
    trees = [etree.fromstring(body) for body in bodies]
    return {
        (
            str(tree.xpath("string(EventIdentification/EventTypeCode/@originalText)")),
            str(tree.xpath("string(EventIdentification/@EventOutcomeIndicator)")),
            str(tree.xpath("string(ActiveParticipant[@UserIsRequestor='true']/@UserID)")),
        )
        for tree in trees
    }
