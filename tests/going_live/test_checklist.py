"""Commands of the checklist of docs/going-live.md, against a gateway whose ports are closed as it asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.ports import free_port
from gateway.config.dicom import Dicom, DicomTls
from gateway.config.hl7 import Hl7, Listener, ListenerTls
from gateway.config.http import Http
from tests.going_live.page import PAGE
from tests.journey.running import Start
from tests.peers.openssl import Authority
from tests.peers.process import Completed, run

ROW = re.compile(r"^\| ([^|]+) \| `((?:[^`|]|\\\|)+)`", re.MULTILINE)


def commands() -> dict[str, str]:
    """What is to be shown -> the first command that shows it."""
    section = PAGE.read_text(encoding="utf-8").partition("## Checklist")[2].partition("\n## ")[0]
    return {what.strip(): command.replace("\\|", "|") for what, command in ROW.findall(section)}


async def shell(command: str, **ports: int) -> Completed:
    """A command of the page with the ports of a test."""
    for given, other in (
        ("https://gateway.example.org", f"http://127.0.0.1:{ports['http']}"),
        ("gateway.example.org:2575", f"127.0.0.1:{ports['hl7']}"),
        ("gateway.example.org:2762", f"127.0.0.1:{ports['tls']}"),
        ("gateway.example.org 11112", f"127.0.0.1 {ports['dicom']}"),
        ("127.0.0.1:8080", f"127.0.0.1:{ports['http']}"),
    ):
        command = command.replace(given, other)
    return await run("/bin/sh", "-c", command, timeout=60)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_doors_are_closed_as_the_page_says(start: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("gateway")
    files = {"certificate": ours.certificate, "key": ours.key, "client_ca": authority.certificate}
    tls = free_port()
    hl7 = Hl7(listeners=[Listener(port=0, tls=ListenerTls(**files))])
    dicom = Dicom(
        port=0, allowed_calling_aes=["CT1"], tls=DicomTls(port=tls, certificate=ours.certificate, key=ours.key)
    )
    listed = commands()
    async with start(hl7=hl7, dicom=dicom, http=Http(port=0, behind_proxy=["127.0.0.1"])) as gateway:
        ports = {
            "http": gateway.http_port, "hl7": gateway.hl7_ports["ris"], "dicom": gateway.dicom_port,
            "tls": tls,
        }  # fmt: skip

        async def shown(what: str) -> Completed:
            [command] = [one for name, one in listed.items() if name.startswith(what)]
            return await shell(command, **ports)

        assert " 401 " in (await shown("the console asks for a login")).stdout.splitlines()[0]
        hl7_shown = await shown("HL7 comes over TLS")
        assert hl7_shown.returncode != 0, hl7_shown.stdout
        dicom_shown = await shown("DICOM comes over TLS")
        assert re.search(r"TLSv1\.[23]", dicom_shown.stdout), dicom_shown.stdout
        old = await shown("nothing older than TLS 1.2")
        assert old.returncode != 0, old.stdout
        rejected = await shown("only listed scanners")
        assert "Association Rejected" in rejected.stdout + rejected.stderr
        assert f":{ports['hl7']} " in (await shown("nothing else listens")).stdout
        assert (await shell("curl -sf http://127.0.0.1:8080/health/ready", **ports)).returncode == 0
