"""Identifiers are decoded as pydicom decodes them, without pydicom."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import encode

from gateway.errors import Malformed, TooLarge
from gateway.wire.dimse import elements, identifier
from gateway.wire.dimse.course import OF_QUERIES, OF_STATEMENTS, Limits
from gateway.wire.dimse.elements import element_at
from gateway.wire.dimse.header import read_header
from gateway.wire.dimse.identifier import Identifier, decode
from gateway.worklist.items import Element, of_identifier
from tests.worklist.worklist_items import of_dataset

IMPLICIT, EXPLICIT, BIG = UID("1.2.840.10008.1.2"), UID("1.2.840.10008.1.2.1"), UID("1.2.840.10008.1.2.2")
SYNTAXES = (IMPLICIT, EXPLICIT, BIG)
NAMES = {
    "ISO_IR 100": "Müller^Jörg",
    "ISO_IR 192": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "GB18030": "Wang^XiaoDong=王^小东\\Zhang^San",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "ISO_IR 13\\ISO 2022 IR 87": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "\\ISO 2022 IR 58": "Zhang^XiaoDong=张^小东",
    "ISO_IR 144": "Люкceмбypг",
}


def encoded(dataset: Dataset, syntax: UID) -> bytes:
    data = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian)
    assert data is not None
    return bytes(data)


def plain(item: Any) -> dict[int, Any]:
    """Tag -> (VR, values, items), an empty value being none."""
    return {
        tag: (one.vr, tuple(one.values) if any(one.values) else (), tuple(map(plain, one.items)))
        for tag, one in item.items()
    }


def assert_read_alike(dataset: Dataset) -> None:
    for syntax in SYNTAXES:
        data = encoded(dataset, syntax)
        ours, theirs = of_identifier(decode(data, syntax)), of_dataset(read_header(data, syntax))
        assert plain(ours) == plain(theirs), syntax
        assert [one.keyword for one in ours.values()] == [one.keyword for one in theirs.values()]


@pytest.mark.parametrize("sets", NAMES)
def test_names_in_every_character_set(sets: str) -> None:
    dataset, step = Dataset(), Dataset()
    dataset.SpecificCharacterSet = sets.split("\\")
    dataset.PatientName = NAMES[sets].split("\\")
    step.ScheduledPerformingPhysicianName = NAMES[sets].split("\\")
    dataset.ScheduledProcedureStepSequence = [step]
    assert_read_alike(dataset)
    if not sets.endswith("58"):  # which pydicom writes without its escape sequence
        assert decode(encoded(dataset, EXPLICIT), EXPLICIT)[0x00100010].values == tuple(NAMES[sets].split("\\"))


def test_gb_2312_behind_its_escape_sequence() -> None:
    name = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab "
    sets = b"\\ISO 2022 IR 58"
    data = b"\x08\x00\x05\x00CS" + len(sets).to_bytes(2, "little") + sets
    data += b"\x10\x00\x10\x00PN" + len(name).to_bytes(2, "little") + name
    assert decode(data, EXPLICIT)[0x00100010].values == ("Zhang^XiaoDong=张^小东",)


TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\^="), max_size=12)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "AE": TEXT, "CS": TEXT, "LO": st.lists(TEXT, max_size=3), "PN": TEXT, "SH": TEXT, "LT": TEXT, "ST": TEXT,
    "UC": st.lists(TEXT, max_size=2), "UT": TEXT, "UR": TEXT,
    "DA": st.sampled_from(["", "20260123", "20260101-", "-20260101", "*"]), "TM": st.sampled_from(["", "0930-", "09"]),
    "DT": st.sampled_from(["", "20260123093000"]), "UI": st.lists(st.sampled_from(["1.2.3", "2.25.1"]), max_size=2),
    "IS": st.lists(st.integers(-9, 99).map(str), max_size=2),
    "DS": st.lists(st.sampled_from(["1.5", "-2"]), max_size=2),
    "US": st.lists(st.integers(0, 9), max_size=2), "SL": st.integers(-9, 9), "FD": st.sampled_from([0.5, -1.25]),
    "OB": st.binary(min_size=2, max_size=4).filter(lambda raw: len(raw) % 2 == 0),
    "AT": st.integers(0x00080000, 0x0008FFFF),
}  # fmt: skip
TAGS = {vr: 0x00990000 + 0x1000 + number for number, vr in enumerate(VALUES)}


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 0) -> Dataset:
    """Private elements of each VR below a sequence or two: implicit VR knows none of them."""
    made = Dataset()
    for vr in draw(st.sets(st.sampled_from(sorted(VALUES)))):
        made.add(DataElement(TAGS[vr], vr, draw(VALUES[vr])))
    if depth < 2 and draw(st.booleans()):
        made.ScheduledProcedureStepSequence = draw(st.lists(data_sets(depth + 1), max_size=2))
        made["ScheduledProcedureStepSequence"].is_undefined_length = draw(st.booleans())
    return made


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@settings(deadline=None)
@given(data_sets())
def test_every_value_representation(dataset: Dataset) -> None:
    assert_read_alike(dataset)


def place_of_fault(data: bytes, syntax: UID) -> str:
    try:
        decode(data, syntax)
    except Malformed as error:
        return str(error.place)
    return "none"


@settings(deadline=None)
@given(st.binary(max_size=64), st.sampled_from(SYNTAXES))
def test_bytes_that_are_no_identifier_are_malformed_and_nothing_else(data: bytes, syntax: UID) -> None:
    assert place_of_fault(data, syntax)


@settings(deadline=None)
@given(data_sets(), st.data())
def test_a_mutilated_identifier_is_read_or_malformed(dataset: Dataset, data: st.DataObject) -> None:
    whole = bytearray(encoded(dataset, EXPLICIT))
    for at in data.draw(st.lists(st.integers(0, max(len(whole) - 1, 0)), max_size=3)):
        whole[at : at + 1] = data.draw(st.binary(max_size=2))
    assert place_of_fault(bytes(whole), EXPLICIT)


def test_a_key_with_an_undefined_character_set_matches_any_foreign_letter() -> None:
    data = b"\x08\x00\x05\x00CS\x08\x00ISO_IR99\x10\x00\x10\x00PN\x06\x00M\xfcller"
    assert values(decode(data, EXPLICIT)) == {0x00080005: ("ISO_IR99",), 0x00100010: ("M?ller",)}


@pytest.mark.parametrize("term", ["hex", "idna", "undefined", "punycode", "zlib"])
def test_a_codec_that_reads_no_text_is_an_undefined_character_set(term: str) -> None:
    data = b"\x08\x00\x05\x00CS\x0a\x00" + term.encode().ljust(10) + b"\x10\x00\x10\x00PN\x06\x00M\xfcller"
    assert decode(data, EXPLICIT)[0x00100010].values == ("M?ller",)


@pytest.mark.parametrize("value", [b"abcd", b"abcdabcdabcd", b"\xfe\xff\x00\xe0\xff\x00\x00\x00ab"])
def test_a_sequence_under_vr_un_that_holds_no_items_is_malformed(value: bytes) -> None:
    data = b"\x40\x00\x00\x01UN\x00\x00" + len(value).to_bytes(4, "little") + value
    assert place_of_fault(data, EXPLICIT) == "(0040,0100)"


def nested(depth: int, *, undefined: bool, vr: bytes = b"IS") -> bytes:
    """A thousand keys inside that many sequences."""
    data = b"".join(b"\x11\x00" + (0x1000 + number).to_bytes(2, "little") + vr + b"\0\0" for number in range(1000))
    for _ in range(depth):
        if undefined:
            data = b"\xff\xff\xff\xff" + data + b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
            length = b"\xff\xff\xff\xff"
        else:
            data = len(data).to_bytes(4, "little") + data
            length = (len(data) + 4).to_bytes(4, "little")
        data = b"\x40\x00\x00\x01SQ\0\0" + length + b"\xfe\xff\x00\xe0" + data
    return data


@pytest.mark.parametrize("undefined", [False, True])
def test_each_element_of_a_deep_identifier_is_walked_over_once(
    undefined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = 0

    def counted(*of: Any) -> Any:
        nonlocal walked
        walked += 1
        return element_at(*of)

    for module in (elements, identifier):
        monkeypatch.setattr(module, "element_at", counted)
    decode(nested(60, undefined=undefined), EXPLICIT, OF_STATEMENTS)
    assert walked == 1060
    of_text = nested(60, undefined=undefined, vr=b"SH")
    decode(of_text, EXPLICIT, Limits(elements=1120, values=0))
    with pytest.raises(TooLarge):
        decode(of_text, EXPLICIT, Limits(elements=1119, values=0))
    assert place_of_fault(nested(65, undefined=undefined), EXPLICIT) == "(0040,0100)"


def values(keys: Identifier) -> dict[int, tuple[str, ...]]:
    return {tag: key.values for tag, key in keys.items()}


def test_elements_of_no_data_set_are_no_keys() -> None:
    data = b"\x08\x00\x00\x00UL\x04\x00\x02\0\0\0\x10\x00\x20\x00LO\x02\x00P1"
    assert values(decode(data, EXPLICIT)) == {0x00100020: ("P1",)}


def test_the_items_of_a_key_are_elements() -> None:
    step = Dataset()
    step.Modality = "CT"
    dataset = Dataset()
    dataset.ScheduledProcedureStepSequence = [step]
    (key,) = of_identifier(decode(encoded(dataset, IMPLICIT), IMPLICIT)).values()
    [item] = key.items
    assert isinstance(item[0x00080060], Element)
    assert item[0x00080060].values == ("CT",)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_elements_items_and_values_are_limited(syntax: UID) -> None:
    many = Dataset()
    for number in range(4):
        many.add_new(0x00111000 + number, "LO", "")
    several, items = Dataset(), Dataset()
    several.PatientID = ["A", "B", "C", "D"]
    items.ScheduledProcedureStepSequence = [Dataset()] * 3
    for dataset, limits, place in (
        (many, Limits(elements=3, values=9), "(0011,1003)"),
        (several, Limits(elements=9, values=3), "(0010,0020)"),
        (items, Limits(elements=3, values=9), "(0040,0100)"),
    ):
        data = encoded(dataset, syntax)
        assert decode(data, syntax, Limits(4, 4))
        with pytest.raises(TooLarge) as caught:
            decode(data, syntax, limits)
        assert caught.value.place == place


def test_the_limits_have_room_for_what_is_asked() -> None:
    uids = Dataset()
    uids.StudyInstanceUID = [f"2.25.{number}" for number in range(4_000)]
    assert len(decode(encoded(uids, EXPLICIT), EXPLICIT, OF_QUERIES)[0x0020000D].values) == 4_000
