"""Acknowledgements as a 2.3.1 and a 2.5.1 sender get them."""

from __future__ import annotations

import hl7 as python_hl7
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.wire.hl7.acknowledgement import CODES, Problem, acknowledge, reject_unreadable
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.parsing import parse

NOW = "20240115103102+0000"
MISSING = Problem(101, "PID-3 has no value; send the patient's identifier", "PID^1^3^1^1")
UNKNOWN = Problem(103, "ORC-1 'ZZ' is not in table 0119", "ORC^1^1", "W")


def order(version: str = "2.5.1", charset: str = "", control_id: str = "MSG1", msh_2: str = "^~\\&") -> bytes:
    return (
        f"MSH|{msh_2}|RIS^1.2.3^ISO|CLINIC \\T\\ SON|GATEWAY|IMAGING~X|20240115||ORM^O01^ORM_O01|{control_id}"
        f"|T^A|{version}|||AL|NE||{charset}\rPID|1\r"
    ).encode()


def answer(raw: bytes, code: str, *problems: Problem) -> str:
    return acknowledge(parse(raw), code, problems, control_id="A1", now=NOW).decode()


def leaves(message: Message, name: str, *fields: int) -> list[str]:
    segment = message.first(name)
    assert segment is not None
    return [segment.leaf(n) for n in fields]


def test_accepted() -> None:
    assert answer(order(charset="UNICODE UTF-8"), "AA") == (
        "MSH|^~\\&|GATEWAY|IMAGING~X|RIS^1.2.3^ISO|CLINIC \\T\\ SON|20240115103102+0000||ACK^O01^ACK|A1|T^A"
        "|2.5.1||||||UNICODE UTF-8\r"
        "MSA|AA|MSG1\r"
    )


def test_no_character_set_no_trigger_no_control_id() -> None:
    raw = b"MSH|^~\\&|RIS||||||ORM||P|2.3.1\r"
    assert answer(raw, "AA") == "MSH|^~\\&|||RIS||20240115103102+0000||ACK|A1|P|2.3.1\rMSA|AA\r"


def test_problems_in_2_5_1() -> None:
    text = answer(order(), "AE", MISSING, UNKNOWN)
    assert text.split("\r")[1:] == [
        "MSA|AE|MSG1|PID-3 has no value; send the patient's identifier",
        "ERR||PID^1^3^1^1|101^Required field missing^HL70357|E||||PID-3 has no value; send the patient's identifier",
        "ERR||ORC^1^1|103^Table value not found^HL70357|W||||ORC-1 'ZZ' is not in table 0119",
        "",
    ]


@pytest.mark.parametrize("version", ["2.3.1", "2.3", "2.4", "2.1"])
def test_problems_before_2_5(version: str) -> None:
    text = answer(order(version), "AE", MISSING, UNKNOWN, Problem(207, "try again"))
    assert text.split("\r")[1:] == [
        "MSA|AE|MSG1|PID-3 has no value; send the patient's identifier",
        "ERR|PID^1^3^101&Required field missing&HL70357~ORC^1^1^103&Table value not found&HL70357"
        "~^^^207&Application internal error&HL70357",
        "",
    ]


@pytest.mark.parametrize("version", ["2.5", "2.6", "2.8.2", "2.10", "3.0", "", "two"])
def test_the_form_of_err_in_other_versions(version: str) -> None:
    assert "\rERR||PID^1^3^1^1|101^Required field missing^HL70357|E|" in answer(order(version), "AE", MISSING)


def test_long_texts() -> None:
    text = "|" * 100 + "x" * 3000
    message = parse(answer(order(), "AE", Problem(100, text, "OBX^2")).encode())
    msa, err = message.first("MSA"), message.first("ERR")
    assert msa is not None
    assert err is not None
    assert len(msa.field(3)) <= 80
    assert msa.leaf(3) == text[:26]
    assert len(err.field(8)) <= 250
    assert err.leaf(8) == text[:83]
    assert len(err.field(7)) == 2048
    assert err.leaf(7) == text[: 100 + 2048 - 300]


def test_text_cannot_break_out_of_its_field() -> None:
    text = answer(order(), "AE", Problem(101, "a|b^c\rMSA|AA|MSG1\n\x1c\r", "PID|9^1\r"))
    message = parse(text.encode())
    assert [segment.name for segment in message.segments] == ["MSH", "MSA", "ERR"]
    assert leaves(message, "ERR", 8) == ["a|b^c\r\nMSA|AA|MSG1\r\n\x1c\r\n"]
    assert "\x1c" not in text


def test_a_control_id_is_returned_as_it_came() -> None:
    assert "\rMSA|AA|a\\T\\b^c~d e\r" in answer(order(control_id="a\\T\\b^c~d e"), "AA")
    assert "\rMSA|AA|a\\X1C\\\r" in answer(order(control_id="a\x1c"), "AA")
    assert "\rMSA|AA|a\\.br\\b\r" in answer(order(control_id="a\rb"), "AA")


def test_the_senders_delimiters() -> None:
    raw = b"MSH#*!/%#RIS*1#CLINIC###20240115##ORM*O01#M1#P#2.5.1\rPID#1\r"
    assert answer(raw, "AE", Problem(101, "a#b*c", "PID^1^3")).split("\r") == [
        "MSH#*!/%###RIS*1#CLINIC#20240115103102+0000##ACK*O01*ACK#A1#P#2.5.1",
        "MSA#AE#M1#a/F/b/S/c",
        "ERR##PID*1*3#101*Required field missing*HL70357#E####a/F/b/S/c",
        "",
    ]


def test_short_encoding_characters() -> None:
    text = answer(order("2.3.1", msh_2="^"), "AE", MISSING, UNKNOWN)
    assert text.startswith("MSH|^|GATEWAY|")
    assert text.endswith("\rERR|PID^1^3^101\r")


@pytest.mark.parametrize(
    ("charset", "encoding", "facility", "text"),
    [
        ("8859/1", "latin_1", "Müller", "Müller ?"),
        ("UNICODE UTF-8", "utf_8", "山田", "Müller 山"),
        ("~ISO IR87", "iso2022_jp", "山田", "M?ller 山"),
        ("ASCII", "ascii", "CLINIC", "M?ller ?"),
    ],
)
def test_the_senders_character_set(charset: str, encoding: str, facility: str, text: str) -> None:
    raw = order(charset=charset).decode().replace("CLINIC \\T\\ SON", facility).encode(encoding)
    data = acknowledge(parse(raw), "AE", [Problem(101, "Müller 山")], control_id="A1", now=NOW)
    message = parse(data)
    assert message.declared_charset == charset
    assert message.receiving_facility == facility
    assert leaves(message, "MSA", 3) == [text]


def test_python_hl7_reads_the_answer() -> None:
    parsed = python_hl7.parse(answer(order(), "AE", MISSING))
    assert str(parsed.segment("MSA")[2]) == "MSG1"
    assert str(parsed["ERR.F3.R1.C1"]) == "101"
    assert str(parsed["MSH.F9.R1.C3"]) == "ACK"


PLAIN = "MSH|^~\\&|||||20240115103102+0000||ACK|A1|P|2.5"
SWAPPED = "MSH|^~\\&|GATEWAY|IMAGING~X|RIS^1.2.3^ISO|CLINIC \\T\\ SON|20240115103102+0000||"


@pytest.mark.parametrize(
    ("raw", "msh", "control_id"),
    [
        (b"", PLAIN, ""),
        (b"GET / HTTP/1.1\r\n", PLAIN, ""),
        (b"MSH", PLAIN, ""),
        (b"\0\0MSHxRISxCLINIC", PLAIN, ""),
        (order("2.6", charset="encoding"), SWAPPED + "ACK^O01^ACK|A1|T^A|2.6", "MSG1"),
        (order()[:60], SWAPPED + "ACK|A1|P|2.5", ""),
    ],
)
def test_unreadable(raw: bytes, msh: str, control_id: str) -> None:
    text = reject_unreadable(raw, Problem(207, ""), control_id="A1", now=NOW).decode()
    assert text.split("\r") == [
        msh,
        # The text of table 0357 stands in for a problem without words of its own.
        f"MSA|AR|{control_id}|Application internal error",
        "ERR|||207^Application internal error^HL70357|E",
        "",
    ]


def test_unreadable_keeps_bytes_and_version() -> None:
    raw = order("2.3.1", charset="UNICODE UTF-8").replace(b"CLINIC \\T\\ SON", b"M\xfcnchen")
    with pytest.raises(Malformed):
        parse(raw)
    data = reject_unreadable(raw, Problem(102, "not utf-8 \u2026", "MSH^1^4"), code="AE", control_id="A1", now=NOW)
    assert b"|RIS^1.2.3^ISO|M\xfcnchen|" in data
    assert data.endswith(b"\rMSA|AE|MSG1|not utf-8 ?\rERR|MSH^1^4^102&Data type error&HL70357\r")


def test_table_0357_is_complete() -> None:
    assert set(CODES) == {0, *range(100, 105), *range(200, 208)}


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=120), st.sampled_from(["MSH|^~\\&|", "MSH|^|", "MSH#*", ""]))
def test_whatever_came_gets_an_answer_that_can_be_read(raw: bytes, text: str, start: str) -> None:
    problem = Problem(100, text, "PID^1")
    data = reject_unreadable(start.encode() + raw, problem, control_id="A1", now=NOW)
    assert b"\x1c" not in data
    assert b"\x0b" not in data
    # Bytes that the sender put into its MSH stand there as they came: as Latin-1, all of them can be read.
    message = parse(data, fallback_charset="8859/1")
    assert [segment.name for segment in message.segments] == ["MSH", "MSA", "ERR"]
    assert message.control_id == "A1"
    assert leaves(message, "MSA", 1) == ["AR"]


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=120))
def test_whatever_could_be_read_is_acknowledged(raw: bytes, text: str) -> None:
    try:
        message = parse(b"MSH|^~\\&|" + raw)
    except Malformed:
        return
    data = acknowledge(message, "AE", [Problem(101, text, "PID^1^3")], control_id="A1", now=NOW)
    assert [segment.name for segment in parse(data).segments] == ["MSH", "MSA", "ERR"]
