"""A gateway that serves HTTP over TLS and asks for logins: its first admin, its certificate, commands beside it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import ssl
from pathlib import Path

import aiohttp

from bench.ports import free_port
from tests.commands import gateway, served
from tests.conftest import until
from tests.peers.openssl import Authority
from tests.web.browsing import PASSWORD, Browser

CONFIGURATION = """
database: {{url: "sqlite:///gateway.db"}}
hl7: {{listeners: [{{port: 0}}]}}
dicom: {{port: 0}}
http: {{port: {port}, behind_proxy: [10.9.9.9], tls: {{certificate: http.pem, key: http.key}}}}
"""


def _put(authority: Authority, name: str, folder: Path) -> None:
    issued = authority.issue(name)
    shutil.copy(issued.certificate, folder / "http.pem")
    shutil.copy(issued.key, folder / "http.key")


async def _shown(port: int, context: ssl.SSLContext) -> str:
    """The common name of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return str(dict(pair for part in certificate["subject"] for pair in part)["commonName"])


async def test_the_first_admin_logs_in_over_tls_and_commands_ask_beside(tmp_path: Path) -> None:
    port, authority = free_port(), Authority(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIGURATION.format(port=port), encoding="utf-8")
    _put(authority, "former", tmp_path)
    context = ssl.create_default_context(cafile=authority.certificate)
    async with served(tmp_path) as command:
        assert f"console https://127.0.0.1:{port}/" in command.output
        await until(lambda: "/password?link=" in command.output)
        link = re.search(r"https://\S+(/password\?link=(\S+))", command.output)
        assert link, command.output
        assert f"database: {tmp_path / 'gateway.db'}" in command.output
        jar = aiohttp.CookieJar(unsafe=True)
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(cookie_jar=jar, connector=connector) as session:
            admin = Browser(session, f"https://127.0.0.1:{port}")
            assert (await admin.open("/")).place == "/login?back=/"
            assert (await admin.open(link[1])).status == 200
            entered = await admin.post("/password", {"link": link[2], "password": PASSWORD})
            assert entered.status == 303
            cookie = entered.headers["Set-Cookie"]
            assert cookie.startswith("__Host-gateway-session=")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
            page = await admin.open("/users")
            assert (page.status, page.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
            assert (await admin.open(link[1])).status == 401
        beside = json.loads((await gateway("status", "--json", folder=tmp_path)).stdout)
        names = {part["name"] for part in beside["parts"] if part["kind"] == "certificate"}
        assert names == {"http certificate"}
        assert "gateway" not in {part["kind"] for part in beside["parts"] if part["level"] == "bad"}
        checked = await gateway("check", folder=tmp_path)
        assert f"127.0.0.1:{port} is taken, and a gateway serves here" in checked.stdout, checked.stderr
        assert (await gateway("tokens", "list", folder=tmp_path)).stdout == "there are no tokens\n"
        alerts = await gateway("audit", "list", "--what", "security alert", folder=tmp_path)
        assert ("token" in alerts.stdout, alerts.returncode) == (False, 0), "a look at the state changes nothing"
        assert await _shown(port, context) == "former"
        _put(authority, "latter", tmp_path)
        stale = await gateway("status", folder=tmp_path)
        assert (stale.returncode, "needs a reload" in stale.stderr) == (1, True)
        command.signal(signal.SIGHUP)
        await until(lambda: "reloaded" in command.errors)
        assert await _shown(port, context) == "latter"
        again = await gateway("status", "--json", folder=tmp_path)
        assert json.loads(again.stdout)["version"] == beside["version"]


async def test_a_certificate_that_cannot_be_used_is_named_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIGURATION.format(port=0), encoding="utf-8")
    for command in (("check", "--offline"), ("run",)):
        done = await gateway(*command, folder=tmp_path)
        assert (done.returncode, "tls.certificate" in done.stdout + done.stderr) == (1, True), done
