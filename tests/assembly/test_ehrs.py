"""How the settings of an EHR become connections: mutual TLS with private authorities, and a proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.assembly.ehrs import client_of
from gateway.config.ehrs import Ehr
from gateway.config.http_receiver import HttpAuth
from gateway.config.receiver import ClientTls
from gateway.errors import ConfigError, NeedsPerson, Unavailable
from gateway.simulators.ehr import EhrSimulator
from tests.peers.connect_proxy import connect_proxy
from tests.peers.openssl import Authority, Issued
from tests.peers.smart_ehr import SmartEhr


def certificates(folder: Path) -> tuple[Issued, Authority]:
    """The server's certificate and the authority whose clients it lets in; one of those is the gateway's."""
    server = Authority(folder, "servers").issue("ehr")
    clients = Authority(folder, "clients")
    clients.issue("gateway", password="hush")
    Authority(folder, "strangers").issue("stranger")
    return server, clients


@asynccontextmanager
async def ehr_with_mutual_tls(folder: Path) -> AsyncIterator[SmartEhr]:
    """Token endpoint and FHIR address let in only who shows a certificate of `clients`."""
    server, clients = await asyncio.to_thread(certificates, folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(clients.certificate))
    context.load_cert_chain(server.certificate, server.key)
    context.verify_mode = ssl.CERT_REQUIRED
    async with EhrSimulator() as simulator, SmartEhr(simulator.url, client_secret="hush", tls=context) as ehr:
        yield ehr


def entry(ehr: SmartEhr, tls: ClientTls, proxy: str | None = None) -> Ehr:
    auth = HttpAuth(kind="client_credentials", client_id="gateway", client_secret="hush", token_url=ehr.token_url)
    return Ehr(name="ehr", url=ehr.url, auth=auth, tls=tls, proxy=proxy, timeout_seconds=60)


def ours(folder: Path) -> ClientTls:
    return ClientTls(
        ca=folder / "servers.pem",
        certificate=folder / "gateway.pem",
        key=folder / "gateway.key",
        key_password="hush",
    )


async def test_mutual_tls_for_token_and_fhir(tmp_path: Path) -> None:
    async with ehr_with_mutual_tls(tmp_path) as ehr, client_of(entry(ehr, ours(tmp_path))) as client:
        assert (await client.capabilities())["fhirVersion"] == "4.0.1"
        assert (len(ehr.forms), ehr.statuses) == (1, [200])


async def test_without_our_certificate_or_with_a_strange_one_nobody_is_let_in(tmp_path: Path) -> None:
    async with ehr_with_mutual_tls(tmp_path) as ehr:
        servers, stranger = tmp_path / "servers.pem", tmp_path / "stranger.pem"
        for tls in (
            ClientTls(ca=servers),
            ClientTls(ca=servers, certificate=stranger, key=stranger.with_suffix(".key")),
            ours(tmp_path).model_copy(update={"ca": tmp_path / "clients.pem"}),
            ours(tmp_path).model_copy(update={"ca": None}),
        ):
            async with client_of(entry(ehr, tls)) as client:
                with pytest.raises(Unavailable, match="no answer"):
                    await client.capabilities()
        assert ehr.forms == []


async def test_all_goes_through_the_proxy(tmp_path: Path) -> None:
    async with ehr_with_mutual_tls(tmp_path) as ehr, connect_proxy("us", "hush") as (port, targets):
        there = ehr.origin.removeprefix("https://")
        async with client_of(entry(ehr, ours(tmp_path), f"http://us:hush@127.0.0.1:{port}")) as client:
            await client.capabilities()
        assert targets == [there, there]
        wrong = entry(ehr, ours(tmp_path), f"http://us:wrong@127.0.0.1:{port}")
        # At the token endpoint, and at the FHIR address.
        for refused in (wrong, wrong.model_copy(update={"auth": None})):
            async with client_of(refused) as client:
                with pytest.raises(NeedsPerson, match="check proxy") as caught:
                    await client.capabilities()
            assert "wrong" not in str(caught.value)
        assert len(targets) == 2


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    ehr = Ehr(name="ehr", url="https://ehr.test", tls=ClientTls(ca=tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match=r"ehrs ehr: tls\.ca: .*missing\.pem cannot be used"):
        client_of(ehr)
    ehr = ehr.model_copy(update={"tls": ClientTls(certificate=tmp_path / "missing.pem")})
    with pytest.raises(ConfigError, match=r"ehrs ehr: tls\.certificate"):
        client_of(ehr)
    bearer = Ehr(name="ehr", url="https://ehr.test", auth=HttpAuth(kind="bearer", token_file=tmp_path / "missing"))
    with pytest.raises(ConfigError, match=r"ehrs ehr: auth: .*missing: cannot be read"):
        client_of(bearer)
