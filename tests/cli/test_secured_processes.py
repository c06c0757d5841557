"""Two processes with TLS at every port and logins: a browser's requests land in either, certificates change in both."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, CookieJar, TCPConnector

from gateway.simulators import ris
from gateway.wire.hl7.mllp_client import MllpClient
from tests.commands import Command, served
from tests.conftest import until
from tests.peers.openssl import Authority
from tests.several_processes import HOST, PATIENT_SECONDS, configuration
from tests.web.browsing import PASSWORD, Browser

CONNECTIONS = 6
"""Held at once, so that each process gets some."""


def put(authority: Authority, name: str, folder: Path) -> None:
    issued = authority.issue(name)
    shutil.copy(issued.certificate, folder / "site.pem")
    shutil.copy(issued.key, folder / "site.key")


async def shown(ports: list[int], context: ssl.SSLContext) -> set[str]:
    """The common names of the certificates that connections to ports are shown, some to each at once."""
    opened = [asyncio.open_connection(HOST, port, ssl=context) for port in ports for _ in range(CONNECTIONS)]
    writers = [writer for _, writer in await asyncio.gather(*opened)]
    certificates = [writer.get_extra_info("peercert") for writer in writers]
    for writer in writers:
        writer.close()
    names = (dict(pair for part in one["subject"] for pair in part) for one in certificates)
    return {str(one["commonName"]) for one in names}


@asynccontextmanager
async def browser(port: int, context: ssl.SSLContext, jar: CookieJar) -> AsyncIterator[tuple[str, Browser]]:
    """A browser with one connection, and the process that this leads to."""
    connector = TCPConnector(ssl=context, limit=1, keepalive_timeout=PATIENT_SECONDS)
    async with ClientSession(cookie_jar=jar, connector=connector) as session:
        page = Browser(session, f"https://{HOST}:{port}")
        answer = re.search(r"process (\d) answers", (await page.open("/health/ready")).text)
        assert answer is not None
        yield answer[1], page


async def one_of_each(port: int, context: ssl.SSLContext, stack: AsyncExitStack) -> list[Browser]:
    """The same browser, with a connection to each process."""
    jar, found = CookieJar(unsafe=True), dict[str, Browser]()
    while len(found) < 2:
        number, page = await stack.enter_async_context(browser(port, context, jar))
        found.setdefault(number, page)
    return list(found.values())


async def logged_in(command: Command, browsers: list[Browser]) -> None:
    """Each step by another process than the one before."""
    first, second = browsers
    await until(lambda: "/password?link=" in command.output, what="the link")
    secret = command.output.partition("/password?link=")[2].split()[0]
    assert (await first.open(f"/password?link={secret}")).status == 200
    assert (await second.post("/password", {"link": secret, "password": PASSWORD})).status == 303
    page = await first.open("/users")
    assert (page.status, bool(page.csrf)) == (200, True)
    user = {"name": "reader", "role": "viewer"}
    assert (await second.post("/users/new", {"csrf": "another", **user})).status == 403
    assert (await second.post("/users/new", {"csrf": page.csrf, **user})).status < 400
    assert "reader" in (await first.open("/users")).text


async def test_tls_and_logins_over_both_processes(tmp_path: Path, shared_postgres: str) -> None:
    authority = Authority(tmp_path)
    put(authority, "former", tmp_path)
    tls = {"certificate": "site.pem", "key": "site.key"}
    sections: dict[str, Any] = {
        "hl7": {"listeners": [{"name": "ris", "port": 0, "conformance": "off", "tls": tls}]},
        "dicom": {"port": 0, "tls": {**tls, "port": 0}},
        "http": {"port": 0, "behind_proxy": ["10.9.9.9"], "tls": tls},
    }
    (tmp_path / "gateway.yaml").write_text(configuration(shared_postgres, **sections), encoding="utf-8")
    context = ssl.create_default_context(cafile=authority.certificate)
    async with served(tmp_path, "--processes", "2") as command, AsyncExitStack() as stack:
        found = re.search(r"ready: HL7 ris (\d+), .* console https://127.0.0.1:(\d+)/", command.output)
        secured = re.search(r"DICOM as GATEWAY on 127.0.0.1:(\d+) with TLS", command.errors)
        assert found is not None, command.output
        assert secured is not None, command.errors
        hl7, http, dicom = int(found[1]), int(found[2]), int(secured[1])
        await logged_in(command, await one_of_each(http, context, stack))
        assert await shown([hl7, dicom, http], context) == {"former"}
        put(authority, "latter", tmp_path)
        command.signal(signal.SIGHUP)
        await until(lambda: command.errors.count("] reloaded: ") == 2, what="a reload of both")
        assert await shown([hl7, dicom, http], context) == {"latter"}
        async with MllpClient(HOST, hl7, tls=context) as sender:
            [exam] = ris.orders(740, 1)
            assert b"MSA|AA|" in await sender.send(exam.hl7())
