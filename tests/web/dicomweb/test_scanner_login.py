"""The login of a scanner over the web: its AE title, its password, and what `dicom.peers` lets it do."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.dicom import Dicom, DicomPeer
from gateway.config.http import Http
from tests.journey.running import Start
from tests.web.dicomweb.client import STEPS, basic, client_of

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
