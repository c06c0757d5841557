"""What is read of an instance's header: an odd attribute takes nothing from the others."""

from __future__ import annotations

import struct
from collections.abc import Collection

import pytest

from gateway.errors import Malformed
from gateway.mapping.elements import of_elements
from gateway.records.order import Attributes
from gateway.wire.dimse.header import read_elements

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
CHARACTER_SET, PATIENT_NAME, PATIENT_ID, SERIES_NUMBER = 0x00080005, 0x00100010, 0x00100020, 0x00200011
PROCEDURE_CODES, STUDY_UID = 0x00081032, 0x0020000D
READ = (PATIENT_NAME, PATIENT_ID, SERIES_NUMBER, PROCEDURE_CODES, STUDY_UID)


def element(tag: int, vr: str, value: bytes) -> bytes:
    """In explicit VR."""
    begin = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("SQ", "UN"):
        return begin + struct.pack("<HL", 0, len(value)) + value
    return begin + struct.pack("<H", len(value)) + value


def read(*elements: bytes, tags: Collection[int] = READ) -> tuple[Attributes, list[str]]:
    """The attributes, and where they are at fault."""
    faults: list[Malformed] = []
    result = of_elements(read_elements(b"".join(elements), EXPLICIT, tags, faults), with_empty=False)
    return result, [str(fault.place) for fault in faults]


@pytest.mark.parametrize("vr", ["UN", "SQ"])
def test_a_sequence_without_items_is_left_out_and_the_others_are_read(vr: str) -> None:
    stated, faults = read(element(PROCEDURE_CODES, vr, b"no items"), element(PATIENT_ID, "LO", b"P1"))
    assert stated == {"PatientID": "P1"}
    assert faults == ["(0008,1032)"]


NAME = "Jörg^Müller"


@pytest.mark.parametrize("term", [b"ISO_IR_192", b"NONE", b"ISO 2022 IR 6\\NONE"])
@pytest.mark.parametrize("codec", ["latin_1", "utf_8"])
def test_text_in_an_undefined_character_set_is_read_as_without_one(term: bytes, codec: str) -> None:
    stated, _ = read(element(CHARACTER_SET, "CS", term), element(PATIENT_NAME, "PN", NAME.encode(codec)))
    assert stated["PatientName"].startswith(NAME)


def test_the_defined_terms_of_a_character_set_count_beside_an_undefined_one() -> None:
    name = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    stated, _ = read(element(CHARACTER_SET, "CS", b"NONE\\ISO 2022 IR 87"), element(PATIENT_NAME, "PN", name))
    assert stated["PatientName"] == "Yamada^Tarou=山田^太郎"


def test_the_character_set_counts_wherever_it_stands() -> None:
    name = "王^小东"
    stated, _ = read(element(PATIENT_NAME, "PN", name.encode("gb18030")), element(CHARACTER_SET, "CS", b"GB18030 "))
    assert stated["PatientName"] == name


@pytest.mark.parametrize(
    ("term", "codec", "name"),
    [("GB18030 ", "gb18030", "乗^小东"), ("GBK ", "gbk", "乗^小东"), ("ISO_IR 13", "shift_jis", "ソノ^表")],
)
def test_the_second_byte_of_a_character_is_no_delimiter(term: str, codec: str, name: str) -> None:
    raw = name.encode(codec)
    assert b"\\" in raw
    stated, faults = read(element(CHARACTER_SET, "CS", term.encode()), element(PATIENT_NAME, "PN", raw))
    assert (stated["PatientName"], faults) == (name, [])


def test_empty_component_groups_of_a_name_are_no_part_of_the_name() -> None:
    assert read(element(PATIENT_NAME, "PN", b"A^B=="))[0] == {"PatientName": "A^B"}
    assert read(element(PATIENT_NAME, "PN", b"=="))[0] == {}


@pytest.mark.parametrize("value", [b"nan", b"inf", b"1_000", "١".encode(), b"0x10"])
def test_what_only_python_takes_for_a_number_is_none(value: bytes) -> None:
    assert read(element(SERIES_NUMBER, "IS", value)) == ({}, ["(0020,0011)"])


@pytest.mark.parametrize("value", [b"1", b" +5 ", b"-1.5e+3", b".5", b"5."])
def test_numbers_are_kept_as_they_are_written(value: bytes) -> None:
    assert read(element(SERIES_NUMBER, "IS", value)) == ({"SeriesNumber": value.decode().strip()}, [])


def test_no_white_space_belongs_to_a_uid() -> None:
    assert read(element(STUDY_UID, "UI", b" 1.2.3\r\n\0"))[0] == {"StudyInstanceUID": "1.2.3"}
