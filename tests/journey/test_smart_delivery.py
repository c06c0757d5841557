"""Delivery by a running gateway to an EHR that asks for SMART Backend Services, while keys change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.assembly import checks as check
from gateway.assembly import process as app
from gateway.config.database import Database
from gateway.config.ehrs import Ehr
from gateway.config.http import Http
from gateway.config.http_receiver import HttpAuth
from gateway.config.receiver import Retry
from gateway.config.studies import Studies
from gateway.config.tree import Config
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing
from tests.conftest import until
from tests.journey.running import Start, quiet
from tests.journey.test_ehr_delivery import examine, study_uids
from tests.peers.openssl import make_key
from tests.peers.smart_ehr import SmartEhr

# Tokens and keys never meet the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def smart(ehr: SmartEhr, keys: Path) -> Ehr:
    auth = HttpAuth(kind="smart", client_id="gateway", keys=[keys], scopes=["system/ImagingStudy.cus"])
    return Ehr(name="ehr0", url=ehr.url, timeout_seconds=60, retry=Retry(first_seconds=0.1, max_seconds=0.5), auth=auth)


def jwks_url(gateway: app.Running) -> str:
    return f"http://127.0.0.1:{gateway.http_port}/.well-known/jwks.json"


async def published(gateway: app.Running) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(jwks_url(gateway)) as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "public, max-age=60"
        keys: list[dict[str, Any]] = (await response.json())["keys"]
        return keys


async def test_nothing_is_lost_while_keys_are_rotated(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    await asyncio.to_thread(make_key, keys / "1.pem", "rsa")
    async with EhrSimulator() as simulator, SmartEhr(simulator.url) as ehr:
        # Short-lived, so that assertions are made all the time; long enough to be used on a machine that is busy.
        ehr.expires_in = 5
        async with start(ehrs=[smart(ehr, keys)], studies=Studies(quiet_seconds=1.5)) as gateway:
            ehr.jwks_url = jwks_url(gateway)
            [first] = await published(gateway)
            assert set(first) == {"kty", "n", "e", "kid", "use", "alg", "key_ops"}
            uids = await examine(gateway, seed=31, count=2)
            await quiet(gateway)

            under_way = asyncio.create_task(examine(gateway, seed=32, count=3))
            await asyncio.to_thread(make_key, keys / ".2", "ec")
            (keys / ".2").rename(keys / "2.pem")
            both = await published(gateway)
            assert [one["alg"] for one in both] == ["RS384", "ES384"]
            assert "d" not in both[0] | both[1]
            ehr.revoke()
            uids += await under_way
            assert set(ehr.kids) == {first["kid"]}

            under_way = asyncio.create_task(examine(gateway, seed=33, count=3))
            (keys / "1.pem").unlink()
            assert [one["kid"] for one in await published(gateway)] == [both[1]["kid"]]
            ehr.revoke()
            uids += await under_way
            # Should all of them have been quicker than we: one more needs a token for sure.
            uids += await examine(gateway, seed=34, count=1)
            await quiet(gateway)
            await until(lambda: both[1]["kid"] in ehr.kids)

            states = await gateway.store.read(lambda connection: outbox_listing.listing(connection, states=("parked",)))
            assert [one["outcome"] for one in states] == []
            assert study_uids(simulator.resources("ImagingStudy")) == sorted(uids)
            assert {one["meta"]["versionId"] for one in simulator.resources("ImagingStudy")} == {"1"}
            # The first key may go between an assertion that it signed and the look at that.
            assert all("Unable to find a signing key" in one for one in ehr.refusals)


async def test_check_gets_a_token_or_says_what_to_do(start: Start, tmp_path: Path) -> None:
    await asyncio.to_thread(make_key, tmp_path / "key.pem", "ec")
    async with EhrSimulator() as simulator, SmartEhr(simulator.url) as ehr:
        entry = smart(ehr, tmp_path / "key.pem")
        async with start(ehrs=[entry]) as gateway:
            ehr.jwks_url = jwks_url(gateway)
            database = Database(url=f"sqlite:///{tmp_path}/other.db")
            config = Config(ehrs=[entry], database=database, http=Http(port=0))
            found = {one.what: one for one in await check.check(config, offline=False)}
            assert "auth smart, token granted" in found["ehrs ehr0"].detail

            ehr.granted = "system/ImagingStudy.rs"
            found = {one.what: one for one in await check.check(config, offline=False)}
            assert not found["ehrs ehr0"].ok
            assert "not system/ImagingStudy.cus: have it granted" in found["ehrs ehr0"].detail

            (tmp_path / "key.pem").write_text("nothing\n", encoding="utf-8")
            faults = [one for one in await check.check(config, offline=True) if not one.ok]
            assert [one.what for one in faults] == ["ehrs ehr0"]
