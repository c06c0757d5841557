"""Installed without a network and run as the service of docs/going-live.md, in the sandbox of its unit."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientSession

from bench.ports import free_port
from gateway.wire.hl7.mllp_client import MllpClient
from tests.going_live.page import ROOT, commands_below, eventually
from tests.going_live.private_machine import Machine, private_machine
from tests.store.test_backup import order

ALONE = """\
[Unit]
# Only what is asked of it is started in here, and there is no journal.
DefaultDependencies=no
[Service]
StandardOutput=append:/run/gateway.log
StandardError=append:/run/gateway.log
"""


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    shutil.copytree(ROOT / "wheelhouse", tmp_path / "wheelhouse")
    shutil.copytree(ROOT / "docker", tmp_path / "docker")
    async with private_machine(tmp_path) as one:
        yield one


async def installed(machine: Machine, ports: dict[str, int]) -> None:
    """What the page has under "Installation without a network" and "The service", in that order."""
    user, *install = commands_below("Installation without a network")
    await machine.must(user)
    # In a network namespace of its own there is not even a loopback address.
    await machine.must(f"cd /mnt && unshare --net /bin/sh -ec '{''.join(install)}'")
    await machine.must("command -v /opt/gateway/bin/gateway && /opt/gateway/bin/gateway --version")
    config = {
        "database": {"url": "sqlite:////var/lib/gateway/gateway.db"},
        "hl7": {"listeners": [{"name": "ris", "port": ports["hl7"]}]},
        "dicom": {"port": ports["dicom"]},
        "http": {"port": ports["http"]},
    }
    (machine.folder / "gateway.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    await machine.must(f"mkdir -p /run/systemd/system/gateway.service.d && printf '{ALONE}' > "
                       "/run/systemd/system/gateway.service.d/alone.conf")  # fmt: skip
    service, first_admin = commands_below("The service")
    await machine.must(f"cd /mnt && {service}")
    await eventually(lambda: ready(ports), seconds=60, what="ready")
    assert "/password?link=" in await machine.must(first_admin)


async def main_pid(machine: Machine) -> int:
    return int(await machine.must("systemctl show --value --property MainPID gateway"))


async def ready(ports: dict[str, int]) -> bool:
    try:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{ports['http']}/health/ready") as answer:
            return answer.status == 200
    except OSError:
        return False


async def log_of(machine: Machine) -> str:
    return await machine.must("cat /run/gateway.log")


async def test_the_service_takes_orders_in_its_sandbox_and_is_kept_up(machine: Machine) -> None:
    ports = {name: free_port() for name in ("hl7", "dicom", "http")}
    await installed(machine, ports)
    async with MllpClient("127.0.0.1", ports["hl7"]) as ris:
        assert b"MSA|AA|" in await ris.send(order(1))

    pid = await main_pid(machine)
    status = await machine.must(f"cat /proc/{pid}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (facts["NoNewPrivs"], facts["Seccomp"], facts["CapEff"], facts["CapBnd"]) == ("1", "2", "0" * 16, "0" * 16)
    assert (await machine.must("stat -c '%a %U' /var/lib/gateway/gateway.db")).split() == ["600", "gateway"]
    within = f"nsenter -t {pid} -m"
    refused = await machine.sh(f"{within} touch /etc/gateway/new")
    assert "Read-only file system" in refused.stderr
    assert (await machine.must(f"{within} ls /home /root /tmp")).split() == ["/home:", "/root:", "/tmp:"]

    await machine.must("systemctl reload gateway")
    await eventually(lambda: _holds(machine, "reload"), seconds=30, what="the reload")
    await machine.must(f"kill -KILL {pid}")
    await eventually(lambda: ready(ports), seconds=60, what="ready")
    assert await main_pid(machine) != pid
    counted = await machine.must("python3 -c \"import sqlite3; print(sqlite3.connect('/var/lib/gateway/gateway.db')"
                                 ".execute('SELECT count(*) FROM orders').fetchone()[0])\"")  # fmt: skip
    assert counted.strip() == "1"
    began = asyncio.get_running_loop().time()
    await machine.must("systemctl stop gateway")
    print(f"service: stopped in {asyncio.get_running_loop().time() - began:.1f} s")
    assert (await machine.must("systemctl show --value --property Result gateway")).strip() == "success"
    (machine.folder / "gateway.yaml").write_text("http:\n  prot: 8080\n", encoding="utf-8")
    await machine.must("install -m 0640 -g gateway /mnt/gateway.yaml /etc/gateway/gateway.yaml")
    assert (await machine.sh("systemctl start gateway")).returncode != 0
    assert "gateway.yaml:2: http.prot" in await log_of(machine)


async def _holds(machine: Machine, words: str) -> bool:
    return words in await log_of(machine)
