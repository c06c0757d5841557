"""PostgreSQL over TLS with its name checked, by the options and the query of docker/compose.production.yaml."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from bench.ports import free_port
from tests.commands import gateway
from tests.going_live.page import ROOT, eventually
from tests.peers.openssl import Authority
from tests.peers.process import accepts, missing, run

COMPOSE = ROOT / "docker" / "compose.production.yaml"


@pytest.fixture
async def server() -> AsyncIterator[tuple[int, Path]]:
    """Port of a server with the options of the compose file, and the folder of its certificates."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs or os.geteuid() != 0:
        missing("PostgreSQL with TLS (as root)", "apt-get install -y postgresql")
    folder, port = Path(tempfile.mkdtemp(prefix="pgtls")), free_port()
    authority = Authority(folder, "database-ca")
    authority.issue("postgres")
    service = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["postgres"]
    options = " ".join(service["command"][1:]).replace("/etc/postgres-tls", str(folder))
    done = await run("/bin/sh", "-ec", f"""
        chown -R postgres {folder} && chmod 700 {folder} && chmod 600 {folder}/postgres.key
        runuser -u postgres -- {programs[-1].with_name("initdb")} -D {folder}/data -U gateway --auth-host=trust
        echo 'hostssl all all 127.0.0.0/8 trust' > {folder}/data/pg_hba.conf
    """)  # fmt: skip
    assert done.returncode == 0, done.stderr
    listening = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1,127.0.0.2"
    command = f"exec runuser -u postgres -- {programs[-1]} -D {folder}/data {listening} {options}"
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: _listens(port), seconds=30, what="PostgreSQL")
        yield port, folder
    finally:
        await run("runuser", "-u", "postgres", "--", programs[-1].with_name("pg_ctl"), "-D", folder / "data", "stop")
        await process.wait()
        await asyncio.to_thread(shutil.rmtree, folder)


async def _listens(port: int) -> bool:
    return accepts(port)


async def test_the_schema_is_made_over_tls_and_another_name_or_authority_is_refused(
    server: tuple[int, Path], tmp_path: Path
) -> None:
    port, folder = server
    shutil.copy(folder / "database-ca.pem", tmp_path)
    Authority(tmp_path, "other")
    config = tmp_path / "gateway.yaml"

    async def upgraded(authority: str, host: str) -> str:
        query = f"sslmode=verify-full&sslrootcert={tmp_path}/{authority}.pem"
        url = f"postgresql://gateway@{host}:{port}/postgres?{query}"
        config.write_text(yaml.safe_dump({"database": {"url": url}}), encoding="utf-8")
        done = await gateway("db", "upgrade", "-c", config, folder=tmp_path)
        return "done" if done.returncode == 0 else done.stderr

    assert await upgraded("database-ca", "localhost") == "done"
    assert "certificate verify failed" in await upgraded("other", "localhost")
    assert "does not match host name" in await upgraded("database-ca", "127.0.0.2")
