"""The login of a scanner over the web: its AE title, its password, and what `dicom.peers` lets it do."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gateway.clock import now
from gateway.config.dicom import Dicom, DicomPeer
from gateway.config.http import Http
from gateway.operations.people import tokens
from gateway.records.person import Role
from tests.journey.modality import begin
from tests.journey.running import Start
from tests.web.browsing import OWNER
from tests.web.dicomweb.client import JSON, PERFORMED, STEPS, basic, client_of
from tests.web.dicomweb.test_performed_steps import COMPLETED, UID, body
from tests.web.served import add_order

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TOKEN, PASSCODE = "console-token", "of-mr1"
PEERS = [
    DicomPeer(ae_title="MR1", user="anyone", passcode=PASSCODE),
    DicomPeer(ae_title="FAR", allowed_addresses=["10.9.8.0/24"]),
    DicomPeer(ae_title="IMAGES", services=["storage"]),
    DicomPeer(ae_title="CT1"),
]
WITH_TOKEN = (
    ("", 401),
    ("Bearer wrong", 401),
    ("Basic !", 401),
    (basic("CT1", "wrong"), 401),
    (basic("CT1", TOKEN), 204),
    (basic("MR1", PASSCODE), 204),
    (basic("MR1", TOKEN), 401),
    (basic("CT1", PASSCODE), 401),
    (basic("FAR", TOKEN), 403),
    (basic("IMAGES", TOKEN), 403),
    (basic("STRANGER", TOKEN), 403),
    (f"Bearer {TOKEN}", 403),
    (basic("A TITLE THAT IS TOO LONG", TOKEN), 403),
    (basic("CT\\1", TOKEN), 403),
    (basic("\N{SNOWMAN}", TOKEN), 403),
)


async def test_a_scanner_logs_in_with_its_ae_title(start: Start) -> None:
    listed = Dicom(port=0, peers=PEERS, allowed_calling_aes=["CT1"])
    async with start(dicom=listed, http=Http(port=0, token=TOKEN)) as gateway, client_of(gateway) as client:
        for authorization, status in WITH_TOKEN:
            shown: dict[str, Any] = {"Authorization": authorization} if authorization else {}
            answer = await client.ask("GET", STEPS, **shown)
            assert answer.status == status, authorization
            assert status != 401 or len(answer.headers.getall("WWW-Authenticate")) == 2
        assert (await client.ask("OPTIONS", "/", Authorization=basic("IMAGES", TOKEN))).status == 200
        # The passcode of a scanner opens nothing else.
        console = client.base.replace("/dicomweb", "/api/orders")
        async with client.session.get(console, headers={"Authorization": basic("MR1", PASSCODE)}) as refused:
            assert refused.status == 401


async def test_without_a_token_a_scanner_may_name_itself_and_a_foreign_page_may_not_ask(start: Start) -> None:
    async with start() as gateway, client_of(gateway) as client:
        assert (await client.search()).status == 204
        assert (await client.search(Authorization=basic("CT1", ""))).status == 204
        assert (await client.search(Host="attacker.example")).status == 403
        path = "/modality-performed-procedure-steps/1.2.3"
        assert (await client.ask("POST", path, body=b"{}", Origin="http://attacker.example")).status == 403


async def test_a_token_of_a_scanner_opens_its_own_worklist_alone(start: Start) -> None:
    async with start(http=Http(port=0, token=TOKEN)) as gateway, client_of(gateway) as client:
        make = partial(tokens.make, role=None, days=None, person=OWNER, now=now())
        of_ct1 = (await gateway.store.write(partial(make, name="ct1", scanner="CT1"))).token
        other = (await gateway.store.write(partial(make, name="mr1", scanner="MR1"))).token
        script = partial(tokens.make, name="script", role=Role.ADMIN, scanner="", days=None, person=OWNER, now=now())
        of_script = (await gateway.store.write(script)).token
        for authorization, query, status, why in (
            (basic("CT1", of_ct1), "", 204, ""),
            (f"Bearer {of_ct1}", "", 204, ""),
            (basic("CT1", of_ct1), "ScheduledProcedureStepSequence.ScheduledStationAETitle=CT1", 204, ""),
            (
                basic("CT1", of_ct1),
                "ScheduledProcedureStepSequence.ScheduledStationAETitle=MR1",
                403,
                "opens the worklist of CT1 alone",
            ),
            (
                basic("CT1", of_ct1),
                "ScheduledProcedureStepSequence.ScheduledStationAETitle=*1",
                403,
                "opens the worklist of CT1 alone",
            ),
            (basic("MR1", of_ct1), "", 403, "this token is for the scanner CT1, not for the scanner MR1"),
            (basic("MR1", other), "", 204, ""),
            (basic("CT1", of_script), "", 403, "this token is for the console and the API"),
            (basic("CT1", "igw_wrong"), "", 401, "its API token or passcode"),
            (basic("CT1", TOKEN), "", 204, ""),
        ):
            answer = await client.search(query, Authorization=authorization)
            assert (answer.status, why in answer.text) == (status, True), (authorization, query, answer.text)
        for path in ("/api/orders", "/", "/metrics", "/fhir/ImagingStudy"):
            address = client.base.replace("/dicomweb", path)
            async with client.session.get(address, headers={"Authorization": f"Bearer {of_ct1}"}) as refused:
                assert refused.status in (403, 404), path
        await gateway.store.write(partial(tokens.revoke, name="ct1", person=OWNER, now=now()))
        assert (await client.search(Authorization=basic("CT1", of_ct1))).status == 401


async def test_a_token_shows_steps_of_its_own_station_and_of_none(start: Start) -> None:
    async with start(http=Http(port=0, token=TOKEN)) as gateway, client_of(gateway) as client:
        for number, station in enumerate(("CT1", "MR1", "")):
            await gateway.store.write(
                partial(
                    add_order,
                    accession=f"A{number}",
                    patient_id=f"P{number}",
                    study_uid=f"1.2.{number}",
                    station_ae=station,
                )
            )
        make = partial(tokens.make, name="ct1", role=None, scanner="CT1", days=None, person=OWNER, now=now())
        token = (await gateway.store.write(make)).token
        answer = await client.search(Authorization=basic("CT1", token))
        assert sorted(step["00080050"]["Value"][0] for step in answer.json) == ["A0", "A2"]
        everything = await client.search(Authorization=basic("CT1", TOKEN))
        assert len(everything.json) == 3


async def test_a_token_opens_performed_steps_of_its_own_scanner_alone(start: Start) -> None:
    path = f"{PERFORMED}/{UID}"
    async with start(http=Http(port=0, token=TOKEN)) as gateway, client_of(gateway) as client:
        make = partial(tokens.make, role=None, days=None, person=OWNER, now=now())
        shown = {
            title: basic(title, (await gateway.store.write(partial(make, name=title, scanner=title))).token)
            for title in ("CT1", "MR1")
        }
        for title, method, query, sent, status in (
            ("CT1", "POST", "", body(begin()), 201),
            ("MR1", "GET", "", None, 403),
            ("MR1", "POST", "?update", COMPLETED, 403),
            ("MR1", "POST", "/update", COMPLETED, 403),
            ("CT1", "GET", "", None, 200),
            ("CT1", "POST", "?update", COMPLETED, 200),
        ):
            answer = await client.ask(
                method, path + query, body=sent, Authorization=shown[title], Content_Type=JSON
            )  # fmt: skip
            assert answer.status == status, (title, method, query, answer.text)
