"""Tokens of client credentials, against an authorization server that checks assertions with PyJWT."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from joserfc import jwk

from bench.ports import free_port
from gateway.errors import ConfigError, NeedsPerson, Unavailable
from gateway.simulators.ehr import EhrSimulator
from gateway.wire.fhir import FhirClient, Refused
from gateway.wire.oauth.authorization import Basic, Bearer
from gateway.wire.oauth.clients import KeyClient, SecretClient
from gateway.wire.oauth.keys import KeyRing, key_set
from gateway.wire.oauth.scopes import missing
from gateway.wire.oauth.token import TokenAuthorization
from tests.peers.openssl import make_key
from tests.peers.smart_ehr import ASSERTION_TYPE, SmartEhr
from tests.wire.fhir.test_client import STUDY, UID, serving

SCOPE = "system/ImagingStudy.cus"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    ehr: SmartEhr
    simulator: EhrSimulator
    folder: Path
    keys: KeyRing
    clock: Clock = field(default_factory=Clock)

    def authorization(self, **given: Any) -> TokenAuthorization:
        options: dict[str, Any] = {"scopes": [SCOPE], "monotonic": self.clock, **given}
        return TokenAuthorization(self.ehr.url, KeyClient("gateway", self.keys), **options)

    def client(self, authorization: Any = None) -> FhirClient:
        return FhirClient(self.ehr.url, timeout_seconds=60, authorization=authorization or self.authorization())


@asynccontextmanager
async def serving_keys(keys: KeyRing) -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(key_set([keys]))

    async with serving(answer) as url:
        yield f"{url}/.well-known/jwks.json"


@pytest.fixture(scope="module")
def rsa_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: it takes a quarter of a second."""
    path = tmp_path_factory.mktemp("key") / "rsa.pem"
    make_key(path, "rsa")
    return path


@pytest.fixture
async def world(tmp_path: Path, rsa_key: Path) -> AsyncIterator[World]:
    folder = tmp_path / "keys"
    folder.mkdir()
    shutil.copy(rsa_key, folder / "1.pem")
    keys = KeyRing([folder])
    async with EhrSimulator() as simulator, SmartEhr(simulator.url) as ehr, serving_keys(keys) as url:
        ehr.jwks_url = url
        yield World(ehr, simulator, folder, keys)


async def test_fifty_requests_at_once_ask_for_one_token(world: World) -> None:
    async with world.client() as client:
        await asyncio.gather(*(client.capabilities() for _ in range(50)))
    assert (len(world.ehr.forms), len(world.ehr.statuses)) == (1, 50)
    assert set(world.ehr.statuses) == {200}
    assert world.ehr.forms[0]["scope"] == SCOPE


async def test_fifty_refused_at_once_ask_for_one_more(world: World) -> None:
    async with world.client() as client:
        await client.capabilities()
        world.ehr.revoke()
        await asyncio.gather(*(client.capabilities() for _ in range(50)))
    assert len(world.ehr.forms) == 2


async def test_an_assertion_is_good_once(world: World) -> None:
    """That the peer would notice: the same assertion a second time, and one for another audience."""
    shown = KeyClient("gateway", world.keys, jwks_url=world.ehr.jwks_url)

    async def ask(form: dict[str, str]) -> int:
        async with aiohttp.ClientSession() as session, session.post(world.ehr.token_url, data=form) as response:
            return response.status

    form = {"grant_type": "client_credentials", **shown.show(world.ehr.token_url, time.time() - 600).form}
    assert await ask(form) == 400
    form = {"grant_type": "client_credentials", **shown.show(world.ehr.token_url, time.time()).form}
    assert form["client_assertion_type"] == ASSERTION_TYPE
    assert [await ask(form), await ask(form)] == [200, 400]
    assert world.ehr.headers[0]["jku"] == world.ehr.jwks_url
    form = {"grant_type": "client_credentials", **shown.show(f"{world.ehr.token_url}/", time.time()).form}
    assert await ask(form) == 400
    assert [one.split()[0] for one in world.ehr.refusals] == ["Signature", "jti", "Audience"]


@pytest.mark.parametrize(("life", "renewed_after"), [(300, 240), (100, 70), (20, 10)])
async def test_a_token_is_renewed_before_its_end(world: World, life: int, renewed_after: int) -> None:
    world.ehr.expires_in = life
    async with world.client() as client:
        await client.capabilities()
        world.clock.now += renewed_after - 1
        await client.capabilities()
        assert len(world.ehr.forms) == 1
        world.clock.now += 1
        await client.capabilities()
        assert len(world.ehr.forms) == 2


async def test_a_token_that_still_holds_serves_while_there_is_no_new_one(world: World) -> None:
    async with world.client() as client:
        await client.capabilities()
        world.clock.now += 250
        world.ehr.failures = [(503, {})] * 2
        await client.capabilities()
        world.clock.now += 51
        with pytest.raises(Unavailable, match="no token: HTTP 503"):
            await client.capabilities()
        await client.capabilities()
    assert world.ehr.statuses == [200, 200, 200]


async def test_after_a_401_a_write_is_made_once_more(world: World) -> None:
    async with world.client() as client:
        await client.capabilities()
        world.ehr.revoke()
        await client.put_by_identifier(STUDY, UID)
        assert world.ehr.statuses == [200, 401, 201]
        assert len(world.simulator.resources("ImagingStudy")) == 1


async def test_a_second_401_is_an_error(world: World) -> None:
    world.ehr.expires_in = -1
    async with world.client() as client:
        with pytest.raises(Refused, match="401"):
            await client.capabilities()
    assert (world.ehr.statuses, len(world.ehr.forms)) == ([401, 401], 2)


@pytest.mark.parametrize("ahead", [-3600.0, 1800.0])
async def test_the_servers_clock_counts_when_it_refuses_ours(world: World, ahead: float) -> None:
    world.ehr.clock_ahead = ahead
    async with world.client() as client:
        await client.capabilities()
        world.ehr.revoke()
        await client.capabilities()
    # Learnt once.
    assert (len(world.ehr.refusals), len(world.ehr.forms)) == (1, 3)


async def test_an_assertion_whose_key_is_taken_away_is_made_anew(world: World) -> None:
    await asyncio.to_thread(make_key, world.folder / "2.pem", "ec")
    world.ehr.before_check = lambda: (world.folder / "1.pem").unlink(missing_ok=True)
    async with world.client() as client:
        await client.capabilities()
    assert (len(world.ehr.refusals), len(world.ehr.forms), [one["alg"] for one in world.ehr.headers]) == (
        1,
        2,
        ["ES384"],
    )


@pytest.mark.parametrize("kind", ["rsa", "ec"])
async def test_both_algorithms(world: World, kind: str) -> None:
    (world.folder / "1.pem").unlink()
    await asyncio.to_thread(make_key, world.folder / "2.pem", kind)
    async with world.client() as client:
        await client.capabilities()
    assert [one["alg"] for one in world.ehr.headers] == [{"rsa": "RS384", "ec": "ES384"}[kind]]


@pytest.mark.parametrize("post", [False, True])
async def test_client_credentials(world: World, post: bool) -> None:
    world.ehr.client_secret = "hush"
    client = SecretClient("gateway", "hush", post=post)
    token_url = world.ehr.token_url
    async with world.client(TokenAuthorization(world.ehr.url, client, token_url=token_url)) as fhir:
        await fhir.capabilities()
    assert ("client_secret" in world.ehr.forms[0]) is post
    wrong = SecretClient("gateway", "other", post=post)
    with pytest.raises(NeedsPerson, match="does not know this client"):
        await TokenAuthorization(world.ehr.url, wrong, token_url=token_url).headers()


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (503, {}, Unavailable, "HTTP 503"),
        (429, {"error": "slow_down"}, Unavailable, "HTTP 429"),
        (400, {"error": "temporarily_unavailable"}, Unavailable, "temporarily_unavailable"),
        (400, {"error": "invalid_scope"}, NeedsPerson, "check scopes"),
        (401, {"error": "invalid_client"}, NeedsPerson, "check client_id"),
        (400, {"error": "unauthorized_client"}, NeedsPerson, "have the grant allowed"),
        (500, {"error": "invalid_client"}, NeedsPerson, "check client_id"),
        (404, {}, NeedsPerson, "check auth.token_url"),
        (302, {}, NeedsPerson, "check auth.token_url"),
        (200, {}, Unavailable, "without access_token"),
        (200, {"access_token": "x", "token_type": "mac"}, NeedsPerson, "only bearer tokens"),
    ],
)
async def test_an_error_carries_its_fate(
    world: World, status: int, body: dict[str, str], error: type[Exception], text: str
) -> None:
    world.ehr.failures = [(status, body)]
    with pytest.raises(error, match=text):
        await world.authorization().headers()
    assert len(world.ehr.forms) == 1


async def test_a_token_endpoint_that_is_away_may_come_back(world: World) -> None:
    authorization = world.authorization(token_url=f"http://127.0.0.1:{free_port()}/token")
    with pytest.raises(Unavailable, match="no answer"):
        await authorization.headers()


async def test_no_secret_in_errors_and_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The peer writes the assertion into its error_description."""
    caplog.set_level(logging.DEBUG)
    world.ehr.client_id = "somebody else"
    with pytest.raises(NeedsPerson) as caught:
        await world.authorization().headers()
    assertion = world.ehr.forms[0]["client_assertion"]
    assert "(left out)" in str(caught.value)
    assert assertion not in f"{caught.value!r}{caplog.text}"


async def test_what_was_not_granted_is_named(world: World) -> None:
    world.ehr.granted = "system/ImagingStudy.rs"
    with pytest.raises(NeedsPerson, match=r"not system/ImagingStudy\.cus: have it granted"):
        await world.authorization().headers()


@pytest.mark.parametrize(
    ("asked", "granted", "lacking"),
    [
        ("system/ImagingStudy.cus", "system/ImagingStudy.cruds", ""),
        ("system/ImagingStudy.cus", "system/*.*", ""),
        ("system/ImagingStudy.cus", "system/ImagingStudy.read system/ImagingStudy.write", ""),
        ("system/ImagingStudy.cus", "system/ImagingStudy.write", "system/ImagingStudy.cus"),
        ("system/ImagingStudy.write", "system/ImagingStudy.cud", ""),
        ("system/ImagingStudy.cus system/Patient.rs", "system/ImagingStudy.cus", "system/Patient.rs"),
        ("system/Patient.rs", "system/Patient.rs?active=true", "system/Patient.rs"),
        ("api", "api", ""),
        ("api", "", "api"),
        ("https://fhir.example.org/.default", "user_impersonation", ""),
    ],
)
def test_a_wider_scope_covers_a_narrower(asked: str, granted: str, lacking: str) -> None:
    assert missing(asked.split(), granted.split()) == lacking.split()


# Other logins


async def test_basic_and_a_bearer_file_that_changes(tmp_path: Path) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        good = seen[-1] in ("Bearer new", "Basic Z2F0ZXdheTpow7xzaDp5")
        return web.json_response({"resourceType": "CapabilityStatement"}, status=200 if good else 401)

    file = tmp_path / "token"
    file.write_text("old\n", encoding="utf-8")
    async with serving(answer) as url:
        async with FhirClient(url, timeout_seconds=60, authorization=Basic("gateway", "hüsh:y")) as client:
            await client.capabilities()
        async with FhirClient(url, timeout_seconds=60, authorization=Bearer(file)) as client:
            with pytest.raises(Refused, match="401"):
                await client.capabilities()
            file.write_text("new\n", encoding="utf-8")
            await client.capabilities()
            # A file that was emptied leaves the token in force.
            file.write_text("", encoding="utf-8")
            await client.capabilities()
    assert [one.split()[1] for one in seen[1:]] == ["old", "new", "new"]


async def test_no_token_goes_to_another_origin(world: World) -> None:
    strange: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        strange.append(request.path)
        return web.json_response({})

    async with serving(note) as elsewhere, world.client() as client:
        with pytest.raises(NeedsPerson, match="another origin"):
            await client._request("GET", f"{elsewhere}/fhir/ImagingStudy?page=2")
        with pytest.raises(NeedsPerson, match="another origin"):
            await client._request("GET", f"{world.ehr.url.replace('127.0.0.1', 'localhost')}/ImagingStudy?page=2")
        same = await client._request("GET", f"{world.ehr.url}/ImagingStudy?_summary=count")
        assert same.resource is not None
    assert strange == []


async def test_secrets_are_not_sent_where_a_token_endpoint_redirects(world: World) -> None:
    strange: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        strange.append(request.path)
        return web.json_response({})

    async with serving(note) as elsewhere:

        async def redirect(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": f"{elsewhere}/token"})

        async with serving(redirect) as url:
            with pytest.raises(NeedsPerson):
                await world.authorization(token_url=f"{url}/token").headers()
    assert strange == []


# Keys


def test_keys_of_every_form(tmp_path: Path) -> None:
    first = make_key(tmp_path / "1.pem", "rsa", password="hush")
    made: dict[str, jwk.RSAKey | jwk.ECKey] = {"a": jwk.RSAKey.generate_key(2048), "b": jwk.ECKey.generate_key("P-384")}
    listed: list[dict[str, Any]] = [{**one.as_dict(private=True), "kid": kid} for kid, one in made.items()]
    listed[0]["active"] = False
    second = tmp_path / "2.json"
    second.write_bytes(orjson.dumps({"keys": listed}))
    third = tmp_path / "3.jwk"
    third.write_bytes(orjson.dumps(listed[1] | {"kid": "c", "alg": "ES384", "use": "sig"}))
    ring = KeyRing([second, first, third], password="hush")
    assert [(key.kid, key.signs) for key in ring.keys if len(key.kid) == 1] == [("a", False), ("b", True), ("c", True)]
    assert ring.signer.kid == "b"
    private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
    published = key_set([ring, ring])["keys"]
    assert len(published) == 4
    assert not any(private & set(one) for one in published)


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize(
    ("kind", "password", "fault"),
    [("short", "", "1024 bits is too short"), ("p256", "", "must be on P-384"), ("rsa", "hush", "check key_password")],
)
def test_keys_that_cannot_be_used(tmp_path: Path, kind: str, password: str, fault: str) -> None:
    key = make_key(tmp_path / "key.pem", kind, password=password)
    with pytest.raises(ConfigError, match=fault):
        KeyRing([key])
    with pytest.raises(ConfigError, match="cannot be read"):
        KeyRing([tmp_path / "missing.pem"])


def test_a_file_that_breaks_leaves_the_keys_in_force(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = make_key(tmp_path / "key.pem", "ec")
    ring = KeyRing([file])
    kid, whole = ring.signer.kid, file.read_text(encoding="utf-8")
    file.write_text(whole[:100], encoding="utf-8")
    assert ring.signer.kid == kid
    file.unlink()
    assert ring.signer.kid == kid
    assert caplog.text.count("stays in force") == 2
    make_key(file, "ec")
    assert ring.signer.kid != kid
