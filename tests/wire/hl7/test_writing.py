"""Messages of our own: escapes, delimiters, MSH, character sets; and what receivers answer to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.wire.charsets import codecs_of, table_name
from gateway.wire.hl7.answers import read_answer
from gateway.wire.hl7.parsing import parse
from gateway.wire.hl7.writing import Header, written

AT = datetime(2026, 1, 23, 13, 0, 1, tzinfo=UTC)


def header(**values: Any) -> Header:
    defaults: dict[str, Any] = {
        "sending": ("GATEWAY", "US"), "receiving": ("RIS", "HOSP"), "type": ("ORM", "O01", "ORM_O01"),
        "version": "2.3.1", "charset": "UNICODE UTF-8",
    }  # fmt: skip
    return Header(**(defaults | values))


LEAF = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)


@given(st.lists(st.lists(st.lists(LEAF, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3))
def test_what_is_written_is_read_again(field: list[list[list[str]]]) -> None:
    message = parse(written(header(), "C1", AT, [("OBR", {4: field})]).text.encode())
    [_, obr] = message.segments
    found = obr.repetitions(4)
    assert found == (field if obr.field(4) else [])
    assert len(message.segments) == 2


def test_the_header_says_who_speaks_to_whom_and_in_which_set() -> None:
    text = written(header(charset="latin1"), "C|1", AT, [("PID", {5: [[["Å|B"]]]})]).text
    assert text.split("\r")[:2] == [
        r"MSH|^~\&|GATEWAY|US|RIS|HOSP|20260123130001+0000||ORM^O01^ORM_O01|C\F\1|P|2.3.1||||||8859/1",
        r"PID|||||Å\F\B",
    ]
    assert written(header(version="2.3"), "C", AT, []).text.count("ORM_O01") == 0


def test_a_character_that_the_set_lacks_is_a_question_mark() -> None:
    made = written(header(charset=""), "C", AT, [("PID", {5: [[["Mü"]]]})])
    assert (made.is_whole, made.text.split("\r")[1]) == (False, "PID|||||M?")
    assert made.text.encode(made.codec)


@pytest.mark.parametrize("name", ["UTF-8", "UNICODE UTF-16", "ISO-8859-1", "latin1", "windows-1252", "GBK", "ASCII"])
def test_msh_18_names_the_encoding_of_the_bytes(name: str) -> None:
    assert codecs_of(table_name(name))[0] == codecs_of(name)[0]
    assert table_name(name) in ("UNICODE UTF-8", "8859/1", "windows-1252", "GB 18030-2000", "ASCII")


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ("MSA|AA|C1", ("AA", "C1", "")),
        ("MSA|AE|C1|no such order", ("AE", "C1", "no such order")),
        ("MSA|AR|C1\rERR||ORC^1^3|204^Unknown key^HL70357|E||||number", ("AR", "C1", "ORC-3: number")),
        ("MSA|CE|C1|x\rERR|ORC^1^3^204&Unknown key&HL70357", ("CE", "C1", "x; Unknown key 204")),
        ("MSA|AE|C1|a\\.br\\b", ("AE", "C1", "a b")),
    ],
)  # fmt: skip
def test_the_words_of_an_acknowledgement(segments: str, expected: tuple[str, str, str]) -> None:
    answer = read_answer(f"MSH|^~\\&|RIS|||||||ACK|9|P|2.5.1\r{segments}\r".encode())
    assert (answer.code, answer.control_id, answer.text) == expected


@pytest.mark.parametrize("raw", [b"", b"hello", b"MSH|^~\\&|RIS|||||||ACK|9|P|2.5\r", b"MSH|^~\\&|\rMSA|ZZ|C1\r"])
def test_what_is_no_acknowledgement(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_answer(raw)
