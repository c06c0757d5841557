"""A reload while everything runs: orders and studies are read with the new mappings, scanners answered by new rules.

On SQLite alone: no statement differs.
"""

from __future__ import annotations

from pathlib import Path

from gateway.assembly import process as app
from gateway.config.hl7 import Hl7, Listener
from gateway.config.tree import Config, MappingsSection
from gateway.store import Store, worklist
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.running import config_of

ORDER = (
    b"MSH|^~\\&|RIS|HOSP|GW|GW|20260105090000||ORM^O01|C%d|P|2.3.1\r"
    b"PID|1||4711^^^HOSP||Muster^Erika||19700101|F\r"
    b"ORC|NW|P%d|A%d\rOBR|1|P%d|A%d|K^Kopf|||||||||||||||A%d|||||KT|||^^^20300105090000\r"
)


def _order(number: int) -> bytes:
    return ORDER.replace(b"%d", b"%d" % number)


async def _modalities(store: Store) -> list[str]:
    rows = await store.read(lambda connection: worklist.scheduled(connection, hidden=[]))
    return [row["modality"] for row in rows]


def _config(url: str, overlay: Path) -> Config:
    listener = Listener(port=0, conformance="off")
    return config_of(url, hl7=Hl7(listeners=[listener]), mappings=MappingsSection(overlay=overlay))


async def test_the_next_message_is_read_with_the_new_tables(sqlite_url: str, tmp_path: Path) -> None:
    table = tmp_path / "overlay" / "tables" / "modality.csv"
    table.parent.mkdir(parents=True)
    config = _config(sqlite_url, tmp_path / "overlay")
    async with app.running(config) as gateway, MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris:
        assert b"MSA|AE|" in await ris.send(_order(1)), "KT is in no table"
        table.write_text("code,value\nKT,CT\n", encoding="utf-8")
        reloaded = await gateway.reload()
        assert (reloaded.is_in_force, reloaded.waits_for_restart) == (True, [])
        assert b"MSA|AA|" in await ris.send(_order(2))
        assert await _modalities(gateway.store) == ["CT"]
        table.write_text("code,value\nKT,MR\nKT,CT\n", encoding="utf-8")
        assert not (await gateway.reload()).is_in_force
        assert b"MSA|AA|" in await ris.send(_order(3)), "read with what was in force"
