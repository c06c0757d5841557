"""A message that was not applied is found by its numbers, until it is applied."""

from __future__ import annotations

from datetime import UTC

from gateway.operations.search import Search, search
from gateway.records.row_ids import MessageRow
from gateway.store import Store, messages
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import orm
from tests.journey.running import Start, sqlite

ASKED = ("ACC9", "PL9", "FI9", "C9", "4711", "Muster", "erika")
ODD = ("~" * 5000, "^" * 30_000)


async def hits(store: Store, text: str) -> list[MessageRow]:
    found = await store.read(lambda connection: search(connection, Search(UTC, text)))
    return [MessageRow(one.id) for one in found.messages]


async def test_a_rejected_order_is_asked_by_its_numbers(start: Start) -> None:
    raw = orm(control_id="C9", accession="ACC9", placer="PL9", filler="FI9", name="Muster^Erika", patient="4711^^^HOSP")
    wrong = raw.replace(b"ORC|NW", b"ORC|QQ")
    async with start() as gateway, MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
        assert b"MSA|A" in await client.send(wrong)
        [row] = await hits(gateway.store, "C9")
        kept = await gateway.store.read(lambda c: messages.get(c, row))
        assert kept is not None
        assert kept["state"] in ("rejected", "failed")
        for text in ASKED:
            assert await hits(gateway.store, text) == [row], text
        assert b"MSA|AA" in await client.send(raw)
        assert await gateway.store.read(lambda c: len(search(c, Search(UTC, "ACC9")).orders)) == 1


@sqlite
async def test_a_field_of_too_many_parts_hides_no_number_before_it(start: Start) -> None:
    for number, odd in enumerate(ODD):
        raw = orm(control_id=f"C{number}", accession=f"ACC{number}").replace(b"PID|1||", b"PID|1||" + odd.encode())
        async with start() as gateway, MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
            assert b"MSA|A" in await client.send(raw)
            assert await hits(gateway.store, f"C{number}")
