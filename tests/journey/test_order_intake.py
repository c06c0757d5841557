"""Station 1: every message gets an answer that is true, and is kept."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench import corpus
from gateway.assembly import process as app
from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import replay_message
from gateway.clock import now
from gateway.config.hl7 import Hl7, Listener
from gateway.config.tree import MappingsSection
from gateway.simulators import ris
from gateway.store import messages, orders, refusals
from gateway.store import worklist as worklist_rows
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.mllp_framing import frame
from gateway.wire.hl7.parsing import parse
from tests.journey.messages import apart, orm
from tests.journey.running import Start, config_of, sqlite
from tests.peers.dcmtk import findscu
from tests.peers.mllp import mllp_send

LATER = "20260123130000"
CORPUS = Path(__file__).parents[3] / "shared/corpus/hl7"


async def send(gateway: app.Running, *raw: bytes) -> list[Any]:
    """The acknowledgements, parsed, of messages sent on one connection."""
    async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"], timeout=120) as client:
        return [parse(await client.send(one)) for one in raw]


def told(ack: Any) -> tuple[str, str, str]:
    """(MSA-1, first condition code, first location) of an acknowledgement of 2.3.1 or 2.5."""
    code, error = ack.first("MSA").leaf(1), ack.first("ERR")
    if error is None:
        return code, "", ""
    if error.field(1):
        location, condition = "^".join(error.leaf(1, n) for n in (1, 2, 3)).rstrip("^"), error.leaf(1, 4)
    else:
        location, condition = "^".join(error.leaf(2, n) for n in (1, 2, 3)).rstrip("^"), error.leaf(3)
    return code, condition, location


async def rows(gateway: app.Running) -> list[dict[str, Any]]:
    return await gateway.store.read(partial(messages.listing, limit=1000))


async def steps(gateway: app.Running) -> list[Any]:
    return await gateway.store.read(lambda connection: list(connection.execute(worklist_rows.ITEMS).mappings()))


async def test_aa_means_that_the_next_query_shows_the_order(start: Start) -> None:
    async with start() as gateway:
        for number, order in enumerate(ris.orders(21, 5)):
            [ack] = await send(gateway, order.hl7())
            assert told(ack)[0] == "AA", number
            found = await findscu(
                gateway.dicom_port, f"AccessionNumber={order.accession_number}", "PatientID", "StudyInstanceUID"
            )
            assert [item.StudyInstanceUID for item in found.items] == [order.study_uid]


@sqlite
async def test_mllp_send_of_many_on_one_connection(start: Start) -> None:
    async with start() as gateway:
        sent = [order.hl7() for order in ris.orders(22, 20)]
        answers = await mllp_send(gateway.hl7_ports["ris"], *sent)
        assert len(answers) == 20
        assert all("MSA|AA|" in answer for answer in answers)
        assert len(await steps(gateway)) == 20


WRONG = [
    (("|PAT1^^^HOSP|", "||"), ("AE", "101", "PID^1^3")),
    (("ORC|NW|", "ORC||"), ("AE", "101", "ORC^1^1")),
    (("ORC|NW|", "ORC|ZZ|"), ("AE", "103", "ORC^1^1")),
    (("|CT|||1^^^", "|QQ|||1^^^"), ("AE", "103", "OBR^1^24")),
    (("|ACC1|", "|ACC1-IS-MUCH-TOO-LONG|"), ("AE", "104", "OBR^1^18")),
    (("|MUSTER^MAX|", '|""|'), ("AE", "101", "PID^1^5")),
    (("\rPID|", "\rPIX|"), ("AE", "101", "PID^1")),
    (("ORM^O01", "XYZ^O01"), ("AR", "200", "MSH^1^9")),
    (("ORM^O01", "ORM^O99"), ("AR", "201", "MSH^1^9")),
    (("ORM^O01", ""), ("AR", "200", "MSH^1^9")),
]


@sqlite
async def test_what_is_wrong_is_named_and_kept(start: Start) -> None:
    async with start() as gateway:
        for number, ((before, after), expected) in enumerate(WRONG):
            raw = apart(orm(control_id=f"W{number}").decode().replace(before, after).encode(), number)
            assert before not in raw.decode(), before
            [ack, good] = await send(gateway, raw, apart(orm(control_id=f"G{number}", study_uid="1.2.9"), number))
            code, condition, location = told(ack)
            assert (code, condition) == expected[:2], after
            assert location.startswith(expected[2]), after
            assert ack.first("MSA").leaf(2) == f"W{number}"
            assert told(good)[0] == "AA", "the listener goes on"
            kept = (await rows(gateway))[:2]
            assert [row["state"] for row in kept] == ["applied", "rejected"], after
            row = await gateway.store.read(partial(messages.get, message=kept[1]["id"]))
            assert row is not None
            assert row["body"] == raw


GARBAGE = (
    b"",
    b"hello",
    b"PID|1||4711\r",
    b"MSH",
    b"MSH|",
    b"\x00\xff\xfe",
    b"MSH|^~\\&|\r",
    b"GET / HTTP/1.1\r\n\r\n",
)


@sqlite
async def test_garbage_in_a_frame_is_answered_ar_and_kept(start: Start) -> None:
    async with start() as gateway:
        for number, raw in enumerate(GARBAGE):
            [ack, good] = await send(gateway, raw, apart(orm(control_id=f"G{number}"), number))
            assert ack.first("MSA").leaf(1) == "AR", raw
            assert told(good)[0] == "AA", raw
            assert [row["state"] for row in await rows(gateway)][:2] == ["applied", "rejected"], raw


@sqlite
async def test_undecodable_bytes_name_their_field(start: Start) -> None:
    raw = orm(charset="UNICODE UTF-8", name="M\u00dcLLER^J\u00d6RG").replace("\u00dc".encode(), b"\xff\xfe")
    async with start() as gateway:
        [ack] = await send(gateway, raw)
        assert told(ack)[:2] == ("AE", "102")
        assert told(ack)[2].startswith("PID^1^5")


@sqlite
async def test_oversized_and_truncated_frames_are_answered_or_kept(start: Start) -> None:
    small = Hl7(listeners=[Listener(port=0, max_message_bytes=4096)])
    async with start(hl7=small) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.hl7_ports["ris"])
        writer.write(frame(orm(more=["NTE|1||" + "x" * 10_000])))
        await writer.drain()
        assert b"MSA|AR|MSG1" in await reader.read()
        writer.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.hl7_ports["ris"])
        writer.write(b"noise before" + frame(orm()) + b"\x0b" + orm()[:200])
        writer.write_eof()
        answers = await reader.read()
        assert b"MSA|AA|MSG1" in answers
        kept = await gateway.store.read(refusals.listing)
        assert [row["reason"] for row in kept] == ["truncated", "too large"]
        writer.close()


@sqlite
async def test_a_message_of_too_many_segments_is_not_kept_as_a_whole(start: Start) -> None:
    many = orm(more=[f"AL1|{number}|DA|X^Allergen" for number in range(10_001)])
    async with start() as gateway:
        refused, taken = await send(gateway, many, orm())
        assert told(refused)[:2] == ("AR", "100")
        assert told(taken)[0] == "AA"
        assert [row["state"] for row in await rows(gateway)] == ["applied"]
        [kept] = await gateway.store.read(refusals.listing)
        assert (kept["reason"], kept["bytes"]) == ("too many parts", 64 * 1024)


@sqlite
async def test_the_same_message_again_gets_the_same_answer_and_changes_nothing(start: Start) -> None:
    async with start() as gateway:
        first, second = await send(gateway, orm(), orm())
        assert first.raw == second.raw
        assert len(await rows(gateway)) == 1
        [third] = await send(gateway, orm(name="OTHER^NAME"))
        assert told(third)[0] == "AA"
        kept = await rows(gateway)
        assert len(kept) == 2
        assert kept[0]["findings"][0]["place"] == "MSH-10"


async def test_the_same_message_on_many_connections_at_once_is_one_order(start: Start) -> None:
    async with start() as gateway:
        answers = await asyncio.gather(*(send(gateway, orm()) for _ in range(12)))
        assert len({ack.raw for [ack] in answers}) == 1
        assert len(await steps(gateway)) == 1


async def test_several_groups_are_applied_all_or_none(start: Start) -> None:
    def second(modality: str) -> list[str]:
        return [
            "ORC|NW|P2|F2||SC||1^^^20301125080000^^R||20260123120000",
            f"OBR|2|P2|F2|CTA^CT abdomen^99RIS||||||||||||||ACC2|RP2|SPS2||||{modality}|||1^^^20301125080000^^R",
        ]

    async with start() as gateway:
        [bad] = await send(gateway, orm(more=second("QQ")))
        assert told(bad) == ("AE", "103", "OBR^2^24")
        assert await steps(gateway) == []
        [good] = await send(gateway, orm(control_id="MSG2", more=second("CT")))
        assert told(good)[0] == "AA"
        assert [row["accession"] for row in await steps(gateway)] == ["ACC1", "ACC2"]


async def test_replay_after_the_cause_is_mended(start: Start, tmp_path: Path) -> None:
    """A site that calls CT 'TOMO' rejects, adds a row to its code table, and replays what it had kept."""
    raw = orm(modality="TOMO")
    async with start() as gateway:
        [ack] = await send(gateway, raw)
        assert told(ack)[:2] == ("AE", "103")
        [row] = await rows(gateway)
        overlay = tmp_path / "site"
        (overlay / "tables").mkdir(parents=True)
        (overlay / "tables/modality.csv").write_text("code,value\nTOMO,CT\n", encoding="utf-8")
        config = config_of("sqlite:///unused.db", mappings=MappingsSection(overlay=overlay))
        code = await replay_message(config, gateway.store, load_mappings(config), now, row["id"])
        assert code == "AA"
        assert [one["modality"] for one in await steps(gateway)] == ["CT"]
        [again] = await rows(gateway)
        assert (again["state"], again["ack_code"]) == ("applied", "AA")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_database_away_means_no_aa(start: Start, database_url: str) -> None:
    """Another process holds the file's lock; tests/store/test_writer.py takes PostgreSQL away."""
    async with start() as gateway:
        other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            [ack] = await send(gateway, orm())
        finally:
            other.execute("ROLLBACK")
            other.close()
        assert told(ack)[:2] == ("AR", "207")
        [again] = await send(gateway, orm())
        assert told(again)[0] == "AA"


@sqlite
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of public messages is not beside this checkout")
async def test_every_message_of_the_corpus_is_answered(start: Start, database_url: str) -> None:
    paths = corpus.files(CORPUS)
    assert len(paths) > 600
    async with start() as gateway:
        answered = await corpus.send(gateway.hl7_ports["ris"], paths, root=CORPUS)
        assert {one.code for one in answered} == {"AA", "AE", "AR"}
        assert all(one.text and one.condition for one in answered if one.code != "AA")
        assert "failed" not in {row["state"] for row in await rows(gateway)}


@sqlite
async def test_a_message_about_an_order_of_another_patient_changes_nothing(start: Start) -> None:
    """The two may be one, by a merge that is still to come: the message waits for it."""
    async with start() as gateway:
        for number, control in enumerate(("XO", "CA", "HD", "NW")):
            about = orm(control_id=f"M{number}", control=control, patient="PAT2^^^HOSP", at=LATER)
            [_, ack] = await send(gateway, apart(orm(control_id=f"N{number}"), number), apart(about, number))
            assert told(ack)[0] == "AA", control
            [item] = [one for one in await steps(gateway) if one["accession"] == f"ACC1X{number}"]
            assert (item["state"], item["patient_id"]) == ("SCHEDULED", f"PAT1X{number}"), control
            newest, *_ = await rows(gateway)
            assert "belongs to another patient" in newest["findings"][0]["text"], control


@sqlite
async def test_a_site_can_have_a_message_about_an_order_of_another_patient_refused(start: Start) -> None:
    async with start(hl7=Hl7(listeners=[Listener(port=0)], unknown_order="reject")) as gateway:
        [_, ack] = await send(gateway, orm(), orm(control_id="MSG2", control="XO", patient="PAT2^^^HOSP"))
        assert told(ack) == ("AE", "204", "PID^1^3")
        found = await gateway.store.read(partial(orders.search, accession_number="ACC1"))
        assert found[0]["patient"]["patient_id"] == "PAT1"


@sqlite
async def test_what_was_rejected_is_judged_anew_when_it_comes_again(start: Start, tmp_path: Path) -> None:
    """After a site has mended its table, the RIS sends the same bytes and gets AA; there is still one message."""
    overlay = tmp_path / "site"
    (overlay / "tables").mkdir(parents=True)
    raw = orm(modality="TOMO")
    async with start() as gateway:
        [ack, again] = await send(gateway, raw, raw)
        assert told(ack)[:2] == told(again)[:2] == ("AE", "103")
        assert len(await rows(gateway)) == 1
    (overlay / "tables/modality.csv").write_text("code,value\nTOMO,CT\n", encoding="utf-8")
    async with start(mappings=MappingsSection(overlay=overlay)) as gateway:
        [ack] = await send(gateway, raw)
        assert told(ack)[0] == "AA"
        [row] = await rows(gateway)
        assert (row["state"], row["findings"]) == ("applied", [])
        assert [one["modality"] for one in await steps(gateway)] == ["CT"]
