"""Headers are cut out of every one of pydicom's test files, and out of mutilated ones without harm."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID
from pynetdicom.dsutils import split_dataset

from gateway.dicom_encoding import MAX_DEPTH
from gateway.errors import Malformed
from gateway.wire.dimse.elements import PIXEL_TAGS
from gateway.wire.dimse.header import MAX_ELEMENT_BYTES, read_header, short_header, split_header
from tests.wire.dimse.shipped_files import shipped_files

IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
JPEG = "1.2.840.10008.1.2.4.50"

BROKEN = {
    "rtplan_truncated.dcm",  # ends within an element before its pixels
    "DICOMDIR-nooffset",  # a media directory whose item lengths lie
}


def _file(path: Path) -> tuple[Dataset, bytes, str] | None:
    """What pydicom reads, the encoded data set, its transfer syntax; None if pydicom cannot read it."""
    try:
        read = dcmread(path, stop_before_pixels=True)
    except InvalidDicomError:
        return None
    meta, offset = split_dataset(path)
    return read, path.read_bytes()[offset:], str(meta.get("TransferSyntaxUID", IMPLICIT))


FILES = shipped_files()


@cache
def readable() -> dict[Path, tuple[Dataset, bytes, str]]:
    return {path: found for path in FILES if (found := _file(path)) and path.name not in BROKEN}


@cache
def small() -> list[tuple[bytes, str]]:
    return [found[1:] for found in readable().values() if len(found[1]) < 12_000]


def _encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = transfer_syntax == IMPLICIT
    buffer.is_little_endian = transfer_syntax != BIG
    write_dataset(buffer, dataset)
    encoded = buffer.getvalue()
    if transfer_syntax != DEFLATED:
        return encoded
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(encoded) + deflater.flush()


def _sample() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.PatientName = "Probe^Anna"
    dataset.InstanceNumber = 7
    item = Dataset()
    item.CodeValue = "X"
    dataset.ProcedureCodeSequence = [item]
    dataset.Rows = 2
    return dataset


def test_there_are_enough_files() -> None:
    syntaxes = {syntax for _, _, syntax in readable().values()}
    assert len(readable()) > 150
    assert {IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG} <= syntaxes


def test_header_equals_what_pydicom_reads_but_for_long_binary_elements() -> None:
    for path, (expected, data, syntax) in readable().items():
        header = split_header(data, syntax, max_element_bytes=None)
        if syntax != DEFLATED:
            assert data.startswith(header), path
        whole = read_header(header, syntax)
        assert list(whole.keys()) == list(expected.keys()), path
        for tag in expected.keys():  # noqa: SIM118 - a data set iterates over its elements
            if expected[tag].VR in ("DS", "IS") and isinstance(expected[tag].value, str):
                assert whole[tag].value is None or expected[tag].is_empty, (path, tag)  # no number
            else:
                assert whole[tag] == expected[tag], (path, tag)
        short = read_header(split_header(data, syntax), syntax)
        gone = set(whole.keys()) - set(short.keys())
        assert all(len(whole[tag].value) > MAX_ELEMENT_BYTES for tag in gone), path
        assert all(short[tag] == whole[tag] for tag in set(short.keys())), path


def test_a_header_that_is_read_at_once_is_no_other() -> None:
    given = [
        (short_header(b"DICM" + data, syntax, begins_at=4), split_header(data, syntax))
        for _, data, syntax in readable().values()
    ]
    at_once = [(short, header) for short, header in given if short is not None]
    assert all(short == header for short, header in at_once)
    assert len(at_once) > 100


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_file_is_refused(name: str) -> None:
    path = next(path for path in FILES if path.name == name)
    found = _file(path)
    assert found is not None
    with pytest.raises(Malformed):
        read_header(split_header(found[1], found[2]), found[2])


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("tag", sorted(PIXEL_TAGS))
def test_stops_at_each_kind_of_pixel_data(syntax: str, tag: int) -> None:
    dataset = _sample()
    vr = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}[tag]
    dataset.add_new(tag, vr, b"\1\2\3\4\5\6\7\10" * 1000)
    dataset.add_new(0xFFFCFFFC, "OB", b"\0" * 8)
    header = split_header(_encode(dataset, syntax), syntax)
    assert read_header(header, syntax) == _sample()
    assert header == _encode(_sample(), EXPLICIT if syntax == DEFLATED else syntax)


def test_pixels_may_be_missing_or_cut_off() -> None:
    dataset = _sample()
    assert read_header(split_header(_encode(dataset, EXPLICIT), EXPLICIT), EXPLICIT) == dataset
    dataset.PixelData = b"\0" * 4000
    dataset["PixelData"].VR = "OW"
    cut = _encode(dataset, EXPLICIT)[:-3000]
    assert read_header(split_header(cut, EXPLICIT), EXPLICIT) == _sample()


def test_zero_padding_after_the_last_element_is_ignored() -> None:
    data = _encode(_sample(), EXPLICIT)
    assert split_header(data + b"\0" * 130, EXPLICIT) == data


def test_deflated_pixels_are_not_inflated() -> None:
    """300 MB of zeros behind the header would exceed the limit for headers."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(_encode(_sample(), EXPLICIT))
    data += deflater.compress(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 300 << 20))
    data += b"".join(deflater.compress(b"\0" * (1 << 20)) for _ in range(300)) + deflater.flush()
    assert read_header(split_header(data, DEFLATED), DEFLATED) == _sample()


@pytest.mark.parametrize(("limit", "kept"), [(None, True), (100_000, True), (99_999, False)])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_limit_of_binary_elements(limit: int | None, kept: bool, syntax: str) -> None:
    dataset = _sample()
    dataset.add_new(0x00091010, "UN", b"\1" * 100_000)
    dataset.TextValue = "long text is kept"
    read = read_header(split_header(_encode(dataset, syntax), syntax, max_element_bytes=limit), syntax)
    assert (0x00091010 in read) is kept
    assert read.TextValue == "long text is kept"


def test_only_some_keywords() -> None:
    header = _encode(_sample(), EXPLICIT)
    read = read_header(header, EXPLICIT, keywords=["PatientName", "Rows", "StudyDate"])
    assert [element.keyword for element in read] == ["PatientName", "Rows"]


def test_implicit_data_named_explicit_is_read() -> None:
    data = _encode(_sample(), IMPLICIT)
    assert read_header(split_header(data, EXPLICIT), EXPLICIT).PatientName == "Probe^Anna"


def test_value_that_is_no_number_reads_as_empty_and_is_named() -> None:
    data = struct.pack("<HH2sH", 0x0020, 0x0013, b"IS", 4) + b"abcd"
    assert read_header(split_header(data, EXPLICIT), EXPLICIT).InstanceNumber is None
    faults: list[Malformed] = []
    read_header(data, EXPLICIT, faults=faults)
    assert [fault.place for fault in faults] == ["(0020,0013)"]


def _nested(depth: int, defined: bool) -> bytes:
    value = b""
    for _ in range(depth):
        if defined:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value
            value = struct.pack("<HH2sHL", 0x0008, 0x1032, b"SQ", 0, len(item)) + item
        else:
            value = (
                struct.pack("<HH2sHL", 0x0008, 0x1032, b"SQ", 0, 0xFFFFFFFF)
                + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
                + value
                + struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
            )
    return value


@pytest.mark.parametrize("defined", [True, False])
def test_depth_of_nesting_is_bounded(defined: bool) -> None:
    fine = _nested(MAX_DEPTH, defined)
    read_header(split_header(fine, EXPLICIT), EXPLICIT)
    deep = _nested(2000, defined)
    with pytest.raises(Malformed, match="deeper"):
        read_header(split_header(deep, EXPLICIT), EXPLICIT)


@pytest.mark.parametrize(
    ("data", "syntax", "place"),
    [
        (b"\x10\x00\x10\x00PN\x40\x00Probe", EXPLICIT, "(0010,0010)"),
        (b"\x10\x00\x10\x00\x40\x00\x00\x00Probe", IMPLICIT, "(0010,0010)"),
        (b"\x00\x10\x00\x10PN\x00\x40Probe", BIG, "(0010,0010)"),
        (b"\x10\x00\x10\x00PN", EXPLICIT, "data set"),
        (b"\x08\x00\x16\x00UI\x02\x001\0\x10\x00\x10\x00\x03\x04\x04\x00AB", EXPLICIT, "(0010,0010)"),
        (b"\x10\x00\x10\x00XX\x04\x00AB", EXPLICIT, "(0010,0010)"),
        (b"\x08\x00\x32\x10SQ\x00\x00\xff\xff\xff\xff", EXPLICIT, "(0008,1032)"),
        (b"\x08\x00\x32\x10SQ\x00\x00\xff\xff\xff\xff\x08\x00\x05\x00\0\0\0\0", EXPLICIT, "(0008,1032)"),
        (b"\xff\xff\x10\x00UI\x02\x001\0", EXPLICIT, "(FFFF,0010)"),
        (b"\xfe\xff\x00\xe0\x00\x00\x00\x00", IMPLICIT, "(FFFE,E000)"),
        (b"\0" * 64, IMPLICIT, "(0000,0000)"),
        (b"hello, this is not DICOM at all" * 20, EXPLICIT, ""),
        (b"\xff" * 200, DEFLATED, "data set"),
        (_encode(_sample(), DEFLATED)[:40], DEFLATED, ""),
    ],
)
def test_faults_name_their_place(data: bytes, syntax: str, place: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_header(split_header(data, syntax), syntax)
    assert caught.value.place
    assert place in ("", caught.value.place)


def test_a_fault_inside_a_sequence_of_defined_length() -> None:
    item = b"\x08\x00\x00\x01SH\x40\x00AB"
    items = struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
    data = struct.pack("<HH2sHL", 0x0008, 0x1032, b"SQ", 0, len(items)) + items
    with pytest.raises(Malformed) as caught:
        read_header(split_header(data, EXPLICIT), EXPLICIT)
    assert caught.value.place == "(0008,0100)"


@settings(suppress_health_check=list(HealthCheck))
@given(
    which=st.deferred(lambda: st.sampled_from(small())),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=6)), max_size=6),
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
    pretend=st.sampled_from(["", IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG]),
)
def test_mutilated_data_sets_are_read_or_refused(
    which: tuple[bytes, str], edits: list[tuple[float, bytes]], cut: float, pretend: str
) -> None:
    data, syntax = bytearray(which[0]), UID(pretend or which[1])
    for position, new in edits:
        at = int(position * min(len(data), 3000))
        data[at : at + len(new)] = new
    encoded = bytes(data[: int(len(data) * cut)])
    try:
        read = read_header(split_header(encoded, syntax), syntax)
    except Malformed as error:
        fault: Malformed | None = error
    else:
        fault = None
        assert all(element.VR for element in read.iterall())
    assert fault is None or fault.place


@given(data=st.binary(max_size=400), syntax=st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED]))
def test_random_bytes_are_read_or_refused(data: bytes, syntax: str) -> None:
    fault: Malformed | None = None
    try:
        read_header(split_header(data, syntax), syntax)
    except Malformed as error:
        fault = error
    assert fault is None or fault.place
