"""A worklist client of another make, the Rust crate dicom-web, with the gateway."""

from __future__ import annotations

import pytest

from gateway.config.http import Http
from tests.journey.messages import orm
from tests.journey.running import Start
from tests.journey.test_performed_step import ordered
from tests.peers import dicomweb_rs

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_the_crate_dicom_web_reads_the_worklist(start: Start) -> None:
    async with start(http=Http(port=0, token="secret")) as gateway:
        name = "GR\N{LATIN SMALL LETTER U WITH DIAERESIS}N^ANNA"
        await ordered(gateway, orm(name=name, charset="UNICODE UTF-8"))
        base = f"http://127.0.0.1:{gateway.http_port}/dicomweb"
        for options in ((), ("00400100.00080060=CT", "00100020=PAT1"), ("fuzzy", "00100010=GRUNN", "limit=1")):
            [item] = await dicomweb_rs.search(base, "CT1", "secret", *options)
            assert item["00100010"]["Value"] == [{"Alphabetic": name}]
            assert item["00400100"]["Value"][0]["00400001"]["Value"] == ["CT1"]
        assert "401" in await dicomweb_rs.search(base, "CT1", "wrong")
        # 204 has no Content-Type, which the client takes for a failure.
        assert (
            await dicomweb_rs.search(base, "CT1", "secret", "00100020=NOBODY")
            == "Multipart item missing Content-Type header"
        )
