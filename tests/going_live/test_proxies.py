"""The proxies of docker/proxy before a gateway that runs: their files, with the ports and certificates of a test."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from bench.ports import free_port
from gateway.config.http import Http
from tests.going_live.page import ROOT, eventually
from tests.journey.running import Start
from tests.peers.openssl import Authority
from tests.peers.process import accepts, found, run

TOKEN = "a-token-that-is-long-enough"
NAME = "gateway.example.org"
FILES = {"nginx": ROOT / "docker" / "proxy" / "nginx.conf", "caddy": ROOT / "docker" / "proxy" / "Caddyfile"}
PROGRAMS = {"nginx": "apt-get install -y nginx-light", "caddy": "apt-get install -y caddy"}


class Here(AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


def fitted(text: str, folder: Path, http: int, outside: int, plain: int) -> str:
    """The file with other ports and the certificate of a test; all else as it stands."""
    for given, other in (
        ("/etc/gateway/tls/", f"{folder}/"),
        ("127.0.0.1:8080", f"127.0.0.1:{http}"),
        ("[::]:443", f"[::1]:{outside}"), ("[::]:80", f"[::1]:{plain}"),
        ("listen 443", f"listen 127.0.0.1:{outside}"), ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("gateway.example.org {", f"{NAME}:{outside} {{"),
        ("admin off", f"admin off\n\thttp_port {plain}\n\tdefault_bind 127.0.0.1"),
    ):  # fmt: skip
        text = text.replace(given, other)
    return text


@asynccontextmanager
async def proxy(kind: str, folder: Path, http: int) -> AsyncIterator[int]:
    """Its port of TLS while the context is open."""
    command: list[str | Path]
    program, outside, plain = found(kind, PROGRAMS[kind]), free_port(), free_port()
    file = folder / FILES[kind].name
    file.write_text(fitted(FILES[kind].read_text(encoding="utf-8"), folder, http, outside, plain), encoding="utf-8")
    if kind == "nginx":
        whole = folder / "whole.conf"
        whole.write_text(
            f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log off;\ninclude {file};\n}}\n", encoding="utf-8",
        )  # fmt: skip
        command = [program, "-c", whole]
        checked = await run(*command, "-t")
    else:
        checked = await run(program, "validate", "--adapter", "caddyfile", "--config", file)
        command = [program, "run", "--adapter", "caddyfile", "--config", file]
    assert checked.returncode == 0, checked.stderr
    print(f"{kind}: {(checked.stdout + checked.stderr).strip().splitlines()[-1]}")
    with (folder / "proxy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdout=log, stderr=log, env={"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        )
    try:
        await eventually(lambda: _listens(outside), seconds=20, what=f"{kind}: {(folder / 'proxy.log').read_text()}")
        yield outside
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _listens(port: int) -> bool:
    return accepts(port)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", FILES)
async def test_a_proxy_serves_the_console_by_its_name_alone_and_to_who_logs_in(
    kind: str, start: Start, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue(NAME)
    shutil.copy(issued.certificate, tmp_path / "gateway.pem")
    shutil.copy(issued.key, tmp_path / "gateway.key")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    login = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
    http = Http(port=0, token=TOKEN, behind_proxy=["127.0.0.1"])
    async with start(http=http) as gateway, proxy(kind, tmp_path, gateway.http_port) as port:
        connector = TCPConnector(ssl=context, resolver=Here())
        async with ClientSession(f"https://{NAME}:{port}", connector=connector) as outside:
            async with outside.get("/") as answer:
                assert answer.status == 401
            async with outside.get("/", headers=login) as answer:
                assert answer.status == 200
                assert len(answer.headers.getall("Strict-Transport-Security")) == 1
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            form = login | {"Origin": f"https://{NAME}:{port}"}
            async with outside.post("/api/reload", headers=form, allow_redirects=False) as answer:
                assert answer.status == 303, "the form of a page of ours is taken"
            async with outside.post("/api/reload", headers=form | {"Origin": "https://evil.test"}) as answer:
                assert answer.status == 403, "a form of another site is not"
            async with outside.get("/metrics", headers=login) as answer:
                assert answer.status == 404
            async with outside.get("/health/live") as answer:
                assert answer.status == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_without_a_login_of_its_own_the_gateway_refuses_the_name_of_the_proxy(start: Start) -> None:
    """A proxy on the same machine comes from loopback: that alone opens nothing."""
    async with start(http=Http(port=0)) as gateway, ClientSession() as session:
        address = f"http://127.0.0.1:{gateway.http_port}/api/orders"
        async with session.get(address, headers={"Host": NAME}) as answer:
            assert answer.status == 403
