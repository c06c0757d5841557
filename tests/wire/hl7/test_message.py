"""The HL7 reader: one test for each rule, then properties, then public messages where they are at hand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed, Undecodable
from gateway.wire import charsets
from gateway.wire.hl7 import parsing
from gateway.wire.hl7.escapes import Delimiters, escape, unescape
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.parsing import parse

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "corpus" / "hl7"

ORDER = "\r".join(
    [
        r"MSH|^~\&|RIS^1.2.3^ISO|CLINIC|GATEWAY|IMAGING|20240115103000||ORM^O01^ORM_O01|MSG1|P|2.5.1|||AL|NE||",
        "PID|1||12345^^^CLINIC^MR~998^^^STATE^SS||Doe&van&Doe^Anna^Maria||19700101|F|||||||||||||||||||||||",
        "PV1|1|O|RAD^^^CLINIC",
        "ORC|NW|P100^RIS|F100^RIS",
        r'OBR|1|P100^RIS||CTHEAD^Head \T\ neck^L|""|""^x',
        "OBX|1|TX|1^a^L||one",
        "OBX|2|TX|2^b^L||two",
        "ZDS|1.2.3.4.5^RIS^Application^DICOM",
        "",
    ]
)


def with_charset(name: str, surname: bytes, facility: bytes = b"CLINIC") -> bytes:
    return (
        b"MSH|^~\\&|RIS|" + facility + b"|GATEWAY|IMAGING|20240115||ORM^O01|MSG1|P|2.5.1||||||"
        + name.encode() + b"|EN\rPID|1||1||" + surname + b"^Anna\r"
    )  # fmt: skip


def leaf(message: Message, name: str, *place: int) -> str:
    segment = message.first(name)
    assert segment is not None
    return segment.leaf(*place)


def segment_text(message: Message) -> str:
    return message._lead + "".join(segment._text + segment._end for segment in message.segments)


# --- fields ---


def test_header_properties() -> None:
    message = parse(ORDER.encode())
    assert (message.type, message.trigger, message.control_id) == ("ORM", "O01", "MSG1")
    assert (message.sending_application, message.sending_facility) == ("RIS", "CLINIC")
    assert (message.receiving_application, message.receiving_facility) == ("GATEWAY", "IMAGING")
    assert (message.timestamp, message.processing_id, message.version) == ("20240115103000", "P", "2.5.1")
    assert message.declared_charset == ""
    assert message.codec == "ascii"


def test_msh_1_is_the_separator_and_msh_2_is_never_split() -> None:
    msh = parse(ORDER.encode()).segments[0]
    assert (msh.field(1), msh.field(2)) == ("|", "^~\\&")
    assert msh.repetitions(2) == [[["^~\\&"]]]
    assert msh.leaf(2) == "^~\\&"
    assert msh.leaf(2, 2) == ""
    assert msh.field(9) == "ORM^O01^ORM_O01"


def test_occurrence_position_first_and_all() -> None:
    message = parse(ORDER.encode())
    assert [(s.name, s.occurrence, s.position) for s in message.all("OBX")] == [("OBX", 1, 5), ("OBX", 2, 6)]
    assert message.first("OBX") is message.all("OBX")[0]
    assert message.first("NTE") is None
    assert message.all("NTE") == []


def test_repetitions_components_and_subcomponents() -> None:
    pid = parse(ORDER.encode()).first("PID")
    assert pid is not None
    assert pid.repetitions(3) == [
        [["12345"], [""], [""], ["CLINIC"], ["MR"]],
        [["998"], [""], [""], ["STATE"], ["SS"]],
    ]
    assert pid.repetitions(5) == [[["Doe", "van", "Doe"], ["Anna"], ["Maria"]]]
    assert pid.components(7) == ["19700101"]
    assert pid.components(3) == pid.components(5) == pid.components(500) == []
    assert pid.leaf(3, 4, repetition=2) == "STATE"
    assert pid.leaf(3, 4, repetition=3) == ""
    assert pid.leaf(5, 1, 2) == "van"
    assert pid.leaf(5, 1, 4) == ""
    assert pid.leaf(5, 2, 1) == "Anna"
    assert pid.leaf(5, 2, 2) == ""
    assert pid.leaf(5, 9) == ""
    assert pid.leaf(7, 1) == "19700101"
    assert pid.leaf(7, 2) == ""


def test_absent_and_empty_fields_read_alike_and_null_stays_visible() -> None:
    message = parse(ORDER.encode())
    pid, obr = message.first("PID"), message.first("OBR")
    assert pid is not None
    assert obr is not None
    assert pid.field(2) == pid.field(500) == ""
    assert pid.repetitions(2) == pid.repetitions(500) == []
    assert obr.repetitions(5) == [[['""']]]
    assert obr.leaf(5) == '""'
    assert obr.repetitions(6) == [[['""'], ["x"]]]


def test_escapes_are_resolved_after_splitting() -> None:
    text = ORDER.replace(r"Head \T\ neck", r"A\S\B\R\C\F\D\E\T\E\&x")
    obr = parse(text.encode()).first("OBR")
    assert obr is not None
    assert obr.field(4) == r"CTHEAD^A\S\B\R\C\F\D\E\T\E\&x^L"
    assert obr.repetitions(4)[0][1] == ["A^B~C|D\\T\\", "x"]
    assert obr.leaf(4, 2) == "A^B~C|D\\T\\"


# --- delimiters ---


def test_delimiters_are_the_senders_own() -> None:
    message = parse(b"MSH#*!/%#RIS#CLINIC\rPID#1##1*2%3!4##a/S/b\r")
    assert message.delimiters == Delimiters("#", "*", "!", "/", "%")
    pid = message.first("PID")
    assert pid is not None
    assert pid.repetitions(3) == [[["1"], ["2", "3"]], [["4"]]]
    assert pid.leaf(5) == "a*b"


@pytest.mark.parametrize(
    ("msh_2", "delimiters"),
    [
        ("^~\\&", Delimiters()),
        ("^~\\&#", Delimiters()),
        ("^~\\", Delimiters(subcomponent="")),
        ("^~&", Delimiters(escape="", subcomponent="&")),
        ("^~", Delimiters(escape="", subcomponent="")),
        ("^", Delimiters(repetition="", escape="", subcomponent="")),
    ],
)
def test_short_and_long_encoding_characters(msh_2: str, delimiters: Delimiters) -> None:
    message = parse(f"MSH|{msh_2}|RIS\rPID|1||a&b~c^d\\e\r".encode())
    assert message.delimiters == delimiters
    expected = {
        "^~\\&": [[["a", "b"]], [["c"], ["d\\e"]]],
        "^~\\": [[["a&b"]], [["c"], ["d\\e"]]],
        "^~": [[["a&b"]], [["c"], ["d\\e"]]],
        "^": [[["a&b~c"], ["d\\e"]]],
    }
    pid = message.first("PID")
    assert pid is not None
    assert pid.repetitions(3) == expected.get(msh_2, expected["^~\\&"])


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"", "MSH"),
        (b"PID|1||1\r", "MSH"),
        (b"GET / HTTP/1.1\r\n\r\n", "MSH"),
        (b"\x00\xff\xfe", "MSH"),
        (b"MSH", "MSH-1"),
        (b"MSH\r", "MSH-1"),
        (b"MSHA^~\\&ARIS\r", "MSH-1"),
        (b"MSH ^~\\& RIS\r", "MSH-1"),
        (b"MSH\xa6^~\\&\xa6RIS\r", "MSH-1"),
        (b"MSH|", "MSH"),
        (b"MSH|^~\\&", "MSH"),
        (b"MSH|^~\\&\rPID|1", "MSH"),
        (b"MSH||RIS\r", "MSH-2"),
        (b"MSH|^^\\&|RIS\r", "MSH-2"),
        (b"MSH|^~a&|RIS\r", "MSH-2"),
        (b"MSH|^~\\&#$|RIS\r", "MSH-2"),
        (b"MSH|^~\\&|RIS\rPID|1\rMSH|^~\\&|RIS\rPID|1\r", "MSH"),
        (b"FHS#^~\\&#RIS\rMSH|^~\\&|RIS\r", "FHS"),
    ],
)
def test_malformed_names_the_place(raw: bytes, place: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(raw)
    assert not isinstance(caught.value, Undecodable)
    assert str(caught.value.place) == place


# --- segments ---


@pytest.mark.parametrize("terminator", ["\r", "\n", "\r\n", "\n\r"])
@pytest.mark.parametrize("end", ["", "terminator", "blank lines"])
def test_every_terminator(terminator: str, end: str) -> None:
    tail = {"": "", "terminator": terminator, "blank lines": terminator * 3}[end]
    raw = (ORDER.strip().replace("\r", terminator) + tail).encode()
    message = parse(raw)
    assert [s.name for s in message.segments] == ["MSH", "PID", "PV1", "ORC", "OBR", "OBX", "OBX", "ZDS"]
    assert leaf(message, "ZDS", 1) == "1.2.3.4.5"
    assert leaf(message, "ZDS", 1, 4) == "DICOM"
    assert leaf(message, "PV1", 3, 4) == "CLINIC"
    assert message.encode() == raw


def test_a_line_feed_within_a_message_of_carriage_returns_is_text() -> None:
    raw = b"MSH|^~\\&|RIS\rNTE|1||first\nsecond\r\nOBX|1|TX|||x\r"
    message = parse(raw)
    assert [s.name for s in message.segments] == ["MSH", "NTE", "OBX"]
    assert leaf(message, "NTE", 3) == "first\r\nsecond"
    assert message.encode() == raw


def test_a_sender_that_mixes_terminators_loses_no_segment() -> None:
    raw = b"MSH|^~\\&|RIS\nPID|1\rPV1|1||A\nB\nORC|NW\n"
    message = parse(raw)
    assert [s.name for s in message.segments] == ["MSH", "PID", "PV1", "ORC"]
    assert leaf(message, "PV1", 3) == "A\r\nB"
    assert message.encode() == raw


@pytest.mark.parametrize("terminator", ["\r", "\n", "\r\n"])
def test_lines_that_begin_no_segment_belong_to_the_field_before(terminator: str) -> None:
    lines = ["MSH|^~\\&|RIS", "OBR|1||||^a", "b \\T\\ c", "", "1) no|next", "THE end", "NTE|1||x", "", ""]
    raw = terminator.join(lines).encode()
    message = parse(raw)
    assert [s.name for s in message.segments] == ["MSH", "OBR", "NTE"]
    assert leaf(message, "OBR", 5, 2) == "a\r\nb & c\r\n\r\n1) no"
    assert leaf(message, "OBR", 6) == "next\r\nTHE end"
    assert message.encode() == raw


def test_segment_names() -> None:
    message = parse(b"MSH|^~\\&|RIS\rZ01|a\rPID\rpid|x\r1AB|y\r")
    assert [s.name for s in message.segments] == ["MSH", "Z01", "PID"]
    assert leaf(message, "PID", 1) == "x\r\n1AB"
    assert leaf(message, "PID", 2) == "y"


def test_one_message_in_a_batch_envelope_and_leading_blank_lines() -> None:
    raw = b"\x0b\r\n \rFHS|^~\\&|RIS\rBHS|^~\\&|RIS\rMSH|^~\\&|RIS||||||ORM^O01|7\rPID|1\rBTS|1\rFTS|1\r"
    message = parse(raw)
    assert [s.name for s in message.segments] == ["FHS", "BHS", "MSH", "PID", "BTS", "FTS"]
    assert message.control_id == "7"
    assert message.segments[0].field(1) == "|"
    assert message.segments[0].leaf(3) == "RIS"
    assert message.encode() == raw


def test_a_huge_field_of_lines_is_read_in_linear_time() -> None:
    raw = b"MSH|^~\\&|RIS\rNTE|1||" + b"x\r" * 200_000
    message = parse(raw)
    assert len(leaf(message, "NTE", 3)) == 3 * 200_000 - 2


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"AL1|1\r" * 10_001, "AL1"),
        (b"NTE|1" + b"|" * 10_001 + b"\r", "NTE[1]"),
        (b"x\r" * 250_001, "MSH"),
        (b"|" * 70_000, "MSH"),
    ],
    ids=["segments", "fields", "lines", "an MSH without an end"],
)
def test_what_would_hold_others_for_long_is_refused_with_its_place(raw: bytes, place: str) -> None:
    header = b"MSH|^~\\&|RIS" if raw.startswith(b"|") else b"MSH|^~\\&|RIS\r"
    with pytest.raises(Malformed) as caught:
        parse(header + raw)
    assert str(caught.value.place) == place


@pytest.mark.parametrize("field", [b"A~" * 3_000, b"A^" * 20_001, b"A&" * 20_001])
def test_the_parts_of_a_field_are_limited_where_they_are_read(field: bytes) -> None:
    message = parse(b"MSH|^~\\&|RIS\rPID|1||" + field + b"\rNTE|1||" + field)
    pid = message.first("PID")
    assert pid is not None
    with pytest.raises(Malformed) as caught:
        pid.repetitions(3)
    assert str(caught.value.place) == "PID[1]-3"


@pytest.mark.parametrize("codec", ["utf_8", "iso2022_jp", "gb18030", "latin_1"])
def test_a_long_message_is_decoded_in_slices_as_a_short_one(codec: str) -> None:
    text = ("山田" if codec in ("gb18030", "iso2022_jp") else "é") + "x"
    name = {"utf_8": "UNICODE UTF-8", "iso2022_jp": "ISO IR87", "gb18030": "GB 18030-2000", "latin_1": "8859/1"}[codec]
    raw = f"MSH|^~\\&|RIS||||||ORM^O01|1|P|2.3.1||||||{name}\rNTE|1||{text * 50_000}\r".encode(codec)
    assert leaf(parse(raw), "NTE", 3) == text * 50_000


def test_a_byte_outside_of_the_character_set_of_a_long_message_has_its_place() -> None:
    raw = b"MSH|^~\\&|RIS||||||ORM^O01|1|P|2.3.1||||||UNICODE UTF-8\rNTE|1||" + b"x" * 100_000 + b"\rNTE|2||\x81\r"
    with pytest.raises(Undecodable) as caught:
        parse(raw)
    assert str(caught.value.place) == "NTE-3"


# --- character sets ---

MUELLER, RUSSIAN, YAMADA, HONG, WANG = "Müller", "Иванов", "山田", "홍길동", "王小明"


@pytest.mark.parametrize(
    ("name", "surname", "encoding", "codec"),
    [
        ("ASCII", "Doe", "ascii", "ascii"),
        ("8859/1", MUELLER, "latin_1", "latin_1"),
        ("8859/1", "M\u201aller \u20ac", "cp1252", "cp1252"),
        ("8859/1", "M\x81ller", "latin_1", "latin_1"),
        ("8859/2", "Łódź", "iso8859_2", "iso8859_2"),
        ("8859/5", RUSSIAN, "iso8859_5", "iso8859_5"),
        ("8859/7", "Παπαδόπουλος", "iso8859_7", "iso8859_7"),
        ("8859/15", "Œuf€", "iso8859_15", "iso8859_15"),
        ("ISO IR14", "ﾔﾏﾀﾞ", "shift_jis", "shift_jis"),
        ("ISO IR87", YAMADA, "iso2022_jp", "iso2022_jp"),
        ("ASCII~ISO IR87", YAMADA, "iso2022_jp", "iso2022_jp"),
        ("~ISO IR87", YAMADA, "iso2022_jp", "iso2022_jp"),
        ("~ISO IR87~ISO IR159", "山田丂", "iso2022_jp_2", "iso2022_jp_2"),
        ("ISO IR14~ISO IR87", YAMADA, "iso2022_jp", "iso2022_jp_ext"),
        ("KS X 1001", HONG, "euc_kr", "euc_kr"),
        ("GB 18030-2000", WANG, "gb18030", "gb18030"),
        ("BIG-5", WANG, "big5", "big5"),
        ("UNICODE", RUSSIAN, "utf_8", "utf_8"),
        ("UNICODE UTF-8", YAMADA, "utf_8", "utf_8"),
        ("UTF-8", YAMADA, "utf_8", "utf_8"),
        ("utf8", YAMADA, "utf_8", "utf_8"),
        ("UNICODE UTF8", YAMADA, "utf_8", "utf_8"),
        ("UNICODE UTF-16", YAMADA, "utf_8", "utf_8"),
        ("ISO-8859-1", MUELLER, "latin_1", "latin_1"),
        ("8859-1", MUELLER, "latin_1", "latin_1"),
        ("ISO_IR 100", MUELLER, "latin_1", "latin_1"),
        ("Windows-1252", "M\u201aller", "cp1252", "cp1252"),
    ],
)
def test_declared_character_sets(name: str, surname: str, encoding: str, codec: str) -> None:
    raw = with_charset(name, surname.encode(encoding))
    message = parse(raw)
    assert leaf(message, "PID", 5) == surname
    assert leaf(message, "PID", 5, 2) == "Anna"
    assert message.declared_charset == name
    assert message.codec == codec
    assert message.encode() == raw


# Each of these has a second byte that is | ^ ~ \ or &, at least in one of the two places.
@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("~ISO IR87", "淫洌蔭椣Π", "iso2022_jp"),
        ("ISO IR14", "ソポ能表予", "shift_jis"),
        ("GB 18030-2000", "亅乗亊", "gb18030"),
        ("BIG-5", "功許育", "big5"),
    ],
)
def test_second_bytes_that_look_like_delimiters(name: str, text: str, encoding: str) -> None:
    encoded = text.encode(encoding)
    assert any(byte in encoded for byte in b"|^~\\&")
    message = parse(with_charset(name, encoded, facility=encoded))
    assert message.declared_charset == name
    assert leaf(message, "PID", 5) == text
    assert message.sending_facility == text


@pytest.mark.parametrize(
    ("surname", "fallback", "text", "codec"),
    [
        (b"Doe", "", "Doe", "ascii"),
        (b"Doe", "8859/1", "Doe", "ascii"),
        ("Müller".encode(), "", "Müller", "utf_8"),
        (b"M\xfcller", "", "Müller", "cp1252"),
        (b"M\xfcller", "8859/1", "Müller", "latin_1"),
        ("Иванов".encode("iso8859_5"), "8859/5", "Иванов", "iso8859_5"),
        ("Müller".encode(), "8859/1", "MÃ¼ller", "latin_1"),
        (b"M\xfcller", "UNICODE UTF-8", "Müller", "cp1252"),
        ("山田".encode("iso2022_jp"), "ISO IR87", "山田", "iso2022_jp"),
        ("山田".encode("iso2022_jp"), "", "山田", "iso2022_jp_2"),
    ],
)
def test_nothing_declared(surname: bytes, fallback: str, text: str, codec: str) -> None:
    message = parse(with_charset("", surname), fallback_charset=fallback)
    assert leaf(message, "PID", 5) == text
    assert message.codec == codec
    assert message.encode() == message.raw


def test_ascii_declared_is_strict_unless_the_sender_is_known() -> None:
    raw = with_charset("ASCII", b"M\xfcller")
    with pytest.raises(Undecodable) as caught:
        parse(raw)
    assert str(caught.value.place) == "PID-5"
    assert leaf(parse(raw, fallback_charset="8859/1"), "PID", 5) == "Müller"


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [(b"\xef\xbb\xbf", "utf_8"), (b"\xff\xfe", "utf_16_le"), (b"\xfe\xff", "utf_16_be")],
)
def test_a_byte_order_mark_decides(bom: bytes, encoding: str) -> None:
    raw = bom + ORDER.replace("Anna", "山田").replace("|NE||", "|NE||8859/1").encode(encoding)
    message = parse(raw)
    assert message.text.startswith("MSH")
    assert leaf(message, "PID", 5, 2) == "山田"
    assert message.codec == encoding
    assert message.declared_charset == "8859/1"
    assert message.encode() == raw


@pytest.mark.parametrize("name", ["encoding", "CNS 11643-1992", "UNICODE UTF-8~klingon"])
def test_an_unknown_character_set_is_refused(name: str) -> None:
    with pytest.raises(Undecodable) as caught:
        parse(with_charset(name, b"M\xfcller"))
    assert str(caught.value.place) == "MSH-18"
    assert not charsets.is_known(name)
    assert parse(with_charset(name, b"Doe")).codec == "ascii", "no difference"


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (with_charset("UNICODE UTF-8", b"M\xfcller"), "PID-5"),
        (with_charset("UNICODE UTF-8", b"x", facility=b"M\xfcnchen"), "MSH-4"),
        (with_charset("8859/7", b"x~\xae"), "PID-5"),
        (with_charset("UNICODE UTF-8", b"ok\nnot a segment|\xff"), "PID-6"),
        (with_charset("UNICODE UTF-8", b"ok").replace(b"\r", b"\n") + b"OBX|1|TX|2|3|\xff\n", "OBX-5"),
        (with_charset("", b"ok\r\nNTE\x81"), "PID-5"),
        (b"\xef\xbb\xbf" + with_charset("", b"\xff"), "PID-5"),
    ],
)
def test_undecodable_names_the_field(raw: bytes, place: str) -> None:
    with pytest.raises(Undecodable) as caught:
        parse(raw)
    assert str(caught.value.place) == place
    assert "ller" not in str(caught.value)


# --- escapes ---


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\F\\S\\T\\R\\E\\P\ ", "|^&~\\# "),
        (r"a\.br\b", "a\r\nb"),
        (r"a\.sp\b", "a\r\nb"),
        (r"a\.sp 2\b", "a\r\n\r\nb"),
        (r"a\.sp+2\b", "a\r\nb"),
        (r"a\.sk 3\b\.sk3\c", "a   b   c"),
        (r"a\.ce\b", "a\r\nb"),
        (r"a\.in+4\b\.ti-2\c\.fi\d\.nf\e", "abcde"),
        (r"\H\loud\N\ ", "loud "),
        (r"a\Zabc def\b", "ab"),
        (r"a\C2842\b\M2442\c\M244228\d", "abcd"),
        (r"a\X0D\b\X0A\c\X0D0A\d\XA\e\X0D\\X0A\f", "a\r\nb\r\nc\r\nd\r\ne\r\nf"),
        (r"\X000d\ ", "\r\n "),
        (r"\XC3BC\\XC3\\XBC\ ", "üü "),
        (r"\XFF\ ", r"\XFF\ "),
        (r"\X\\XGG\ ", r"\X\\XGG\ "),
        (r"4\5", r"4\5"),
        (r"4\5\T\6", r"4\5&6"),
        (r"C:\Windows\Temp", r"C:\Windows\Temp"),
        (r"\E\T\E\ ", "\\T\\ "),
        (r"\.unknown\ ", r"\.unknown\ "),
        ("\\", "\\"),
        ("\\\\", "\\\\"),
        (r"\f\ ", r"\f\ "),
    ],
)
def test_unescape(escaped: str, text: str) -> None:
    assert unescape(escaped, Delimiters(), "utf_8") == text


def test_unescape_with_other_delimiters_and_codecs() -> None:
    assert unescape("/F//S//T//R//E/", Delimiters("#", "*", "!", "/", "%"), "ascii") == "#*%!/"
    assert unescape("\\T\\", Delimiters(escape=""), "ascii") == "\\T\\"
    assert unescape("\\XFC\\", Delimiters(), "latin_1") == "ü"
    assert unescape("\\X8E52\\", Delimiters(), "shift_jis") == "山"
    assert unescape("\\XFC\\\\XC3BC\\ ", Delimiters(), "latin_1") == "üÃ¼ "
    assert unescape("\\XFC\\ \\XC3BC\\", Delimiters(), "ascii") == "ü ü"


def test_a_skip_is_bounded() -> None:
    assert unescape(r"\.sk 999999999\ ", Delimiters(), "ascii") == " " * 101


def test_escape() -> None:
    assert escape("a|b^c&d~e\\f", Delimiters()) == r"a\F\b\S\c\T\d\R\e\E\f"
    assert escape("a\r\nb\rc\nd", Delimiters()) == r"a\.br\b\.br\c\.br\d"
    assert escape("\x0b\x1c", Delimiters()) == r"\X0B\\X1C\ ".strip()
    assert escape("a|b^c\\d\ne", Delimiters(escape="")) == "a b c\\d e"


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
DELIMITERS = st.permutations("|^~\\&#*!/%$:;").map(lambda chosen: Delimiters(*chosen[:5]))


@settings(deadline=None)
@given(PRINTABLE, DELIMITERS)
def test_what_is_escaped_comes_back(text: str, delimiters: Delimiters) -> None:
    escaped = escape(text, delimiters)
    assert unescape(escaped, delimiters, "utf_8") == text
    separators = (delimiters.field, delimiters.component, delimiters.repetition, delimiters.subcomponent)
    assert not any(separator in escaped for separator in separators)


# --- properties ---


def read_or_refuse(raw: bytes) -> None:
    try:
        message = parse(raw)
    except Malformed:
        return
    assert segment_text(message) == message.text
    assert message.encode() == raw
    for segment in message.segments:
        for n in range(segment.field(0).count("|") + 12):
            values = segment.repetitions(n)
            assert bool(values) == bool(segment.field(n))
            if values:
                assert segment.leaf(n) == values[0][0][0]
                assert segment.leaf(n, len(values[-1]), 1, len(values)) == values[-1][-1][0]
            if components := segment.components(n):
                assert values == [[[one] for one in components]]


CHARSETS = st.sampled_from(
    ["", "ASCII", "8859/1", "UNICODE UTF-8", "~ISO IR87", "ISO IR14", "GB 18030-2000", "BIG-5", "?"]
)


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"MSH|^~\\&|\xff")
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfeM")
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    read_or_refuse(raw)


@settings(deadline=None)
@given(CHARSETS, st.binary(max_size=80), st.binary(max_size=40))
def test_any_field_content_is_read_or_refused(name: str, surname: bytes, facility: bytes) -> None:
    read_or_refuse(with_charset(name, surname, facility))


@given(
    st.sampled_from(["\r", "\n", "\r\n"]),
    st.lists(st.tuples(st.integers(0, len(ORDER)), st.integers(0, 5), st.binary(max_size=6)), max_size=6),
)
def test_a_damaged_message_is_read_or_refused(terminator: str, cuts: list[tuple[int, int, bytes]]) -> None:
    raw = ORDER.replace("\r", terminator).encode()
    for start, length, replacement in cuts:
        raw = raw[:start] + replacement + raw[start + length :]
    read_or_refuse(raw)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_text_sent_escaped_is_read_as_it_was(text: str) -> None:
    message = parse(f"MSH|^~\\&|RIS|||||||||||||||UNICODE UTF-8\rNTE|1||{escape(text, Delimiters())}\r".encode())
    expected = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").replace("\0", "")
    assert leaf(message, "NTE", 3) == expected


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the public messages are not at hand")
def test_public_messages() -> None:
    files = sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.suffix != ".csv")
    read = 0
    for path in files:
        raw = path.read_bytes()
        try:
            message = parse(raw)
        except Malformed:
            continue
        read += 1
        assert segment_text(message) == message.text, path.name
        assert message.encode() == raw, path.name
    assert read > 0.9 * len(files)


def test_a_long_body_is_looked_through_in_parts_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "SLICE_CHARACTERS", 7)
    pieces = ["\r", "\n", "\r\n", "\n\r", "OBX|", "NTE|", "OB", "|", "a", "a long text"]
    made = random.Random(1)
    for _ in range(2_000):
        body = "".join(made.choices(pieces, k=40))
        whole = [found.span() for found in parsing._mixed("|").finditer(body)]
        windows = list(parsing._windows(body))
        assert [found.span() for at, end in windows for found in parsing._mixed("|").finditer(body, at, end)] == whole
        assert "".join(body[at:end] for at, end in windows) == body
        assert len(windows) > 3
