"""HAPI HL7 v2 parses every acknowledgement strictly (`make java-peers`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.journey.messages import adt, orm
from tests.journey.running import Start
from tests.peers.process import run

FOLDER = Path(__file__).parents[1] / "peers" / "hapihl7"
MESSAGES = {
    "accepted": orm(),
    "wrong code": orm(control_id="2", modality="QQ"),
    "wrong date": orm(control_id="3").replace(b"19800102", b"19460000"),
    "no number": orm(control_id="4", placer="", filler="", accession=""),
    "unknown type": orm(control_id="5").replace(b"ORM^O01", b"BAR^P01"),
    "registered": adt("A08", control_id="6"),
    "merged with itself": adt("A40", control_id="7") + b"MRG|PAT1^^^HOSP\r",
    "training": orm(control_id="8").replace(b"|P|2.3.1", b"|T|2.3.1"),
}
VERSIONS = ("2.3.1", "2.4", "2.5", "2.5.1", "2.6")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_acknowledgement_is_read_strictly(start: Start, tmp_path: Path) -> None:
    if not (FOLDER / "cp.txt").is_file() or shutil.which("java") is None:
        pytest.skip("HAPI's HL7 v2 client is not built; run: make java-peers")
    for version in VERSIONS:
        for number, raw in enumerate(MESSAGES.values()):
            changed = raw.replace(b"|2.3.1", f"|{version}".encode()).replace(b"|MSG1|", f"|{version}-1|".encode())
            (tmp_path / f"{version}-{number}.hl7").write_bytes(changed)
    async with start() as gateway:
        classes = f"target/classes:{(FOLDER / 'cp.txt').read_text().strip()}"
        port = str(gateway.hl7_ports["ris"])
        done = await run(
            "env", "-C", FOLDER, "java", "-cp", classes, "peer.Send", "127.0.0.1", port, tmp_path, timeout=120
        )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if "strict" in line.lower() or "NO ANSWER" in line]
    good = [line for line in lines if "strict OK" in line and "encodes differently" not in line]
    assert len(good) == len(VERSIONS) * len(MESSAGES), done.stdout[-6000:]
