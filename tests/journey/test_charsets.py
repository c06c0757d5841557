"""Names in the character sets of HL7 table 0211, from a message's bytes to what DCMTK reads in the worklist."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse
from tests.journey.messages import orm
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import told
from tests.peers.dcmtk import dcmtk, findscu
from tests.peers.process import run

KANJI = "梨本^怡子"
"""In ISO-2022-JP its bytes are `1|K\\`, `2^` and `;R`: every one of `|`, `^` and the escape character among them."""
HANZI = "東^奮"
"""In GB 18030 the second bytes of these are `|` and `^`."""


def test_the_names_have_delimiters_among_their_bytes() -> None:
    kanji = KANJI.replace("^", "").encode("iso2022_jp")
    assert all(delimiter in kanji for delimiter in b"|^\\")
    assert all(delimiter in HANZI.replace("^", "").encode("gb18030") for delimiter in b"|^")


@sqlite
@pytest.mark.parametrize(
    ("charset", "sent", "name"),
    [
        ("~ISO IR87", f"NASHIMOTO^REIKO^^^^^L^A~{KANJI}^^^^^L^I~なしもと^れいこ^^^^^L^P",
         f"NASHIMOTO^REIKO={KANJI}=なしもと^れいこ"),
        ("GB 18030-2000", f"DONG^FEN^^^^^L^A~{HANZI}^^^^^L^I", f"DONG^FEN={HANZI}"),
        ("8859/1", "NÚÑEZ^ÅSA", "NÚÑEZ^ÅSA"),
        ("8859/2", "ŁOŚ^ŻANETA^^^ĎÁBEL", "ŁOŚ^ŻANETA^^ĎÁBEL"),
        ("UNICODE UTF-8", "ŁOŚ^Ωμέγα~梨本^怡子^^^^^^I", "ŁOŚ^Ωμέγα=梨本^怡子"),
    ],
)  # fmt: skip
async def test_a_name_arrives_as_it_was_meant(start: Start, tmp_path: Path, charset: str, sent: str, name: str) -> None:
    async with start() as gateway:
        async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
            raw = orm(charset=charset, name=sent)
            ack = parse(await client.send(raw))
            assert told(ack)[0] == "AA"
        found = await findscu(gateway.dicom_port, "PatientName", "AccessionNumber=ACC1")
        [item] = found.items
        assert str(item.PatientName) == name
        answer = tmp_path / "answer.dcm"
        item.save_as(answer, implicit_vr=False, little_endian=True)
        dumped = await run(dcmtk("dcmdump"), "+U8", "+P", "PatientName", answer)
        assert f"[{name}]" in dumped.stdout, dumped


@sqlite
async def test_what_the_declared_set_does_not_have_is_told_by_its_field(start: Start) -> None:
    raw = orm(charset="UNICODE UTF-8", name="MÜLLER^X").replace("Ü".encode(), "Ü".encode("latin-1"))
    async with start() as gateway:
        async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
            ack = parse(await client.send(raw))
        assert told(ack) == ("AE", "102", "PID^1^5")
        assert (await findscu(gateway.dicom_port, "PatientID")).items == []
