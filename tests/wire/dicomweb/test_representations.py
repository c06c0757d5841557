"""Data sets as DICOM JSON and Native DICOM XML, bodies of parts, media types: PS3.18 Annex F, PS3.19 A.1, RFC 9110."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.errors import Malformed
from gateway.wire.dicomweb import dicom_json, media_types, multipart, native_xml
from gateway.wire.dicomweb.dataset import Attribute
from gateway.wire.dicomweb.media_types import JSON, RESULTS, XML, Accepted, MediaType

SAMPLE: dict[str, Any] = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00080060": {"vr": "CS"},
    "00081140": {"vr": "SQ", "Value": [{}, {"00081155": {"vr": "UI", "Value": ["1.2.3"]}}]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong", "Phonetic": "x"}]},
    "00101001": {"vr": "PN", "Value": [{"Alphabetic": "A"}, None]},
    "00104000": {"vr": "LT", "Value": ["two\nlines & <marks>"]},
    "00181318": {"vr": "DS", "Value": [0.5, 2.0]},
    "00200013": {"vr": "IS", "Value": [7]},
    "00280010": {"vr": "US", "Value": [512]},
    "00280030": {"vr": "DS", "Value": [None, 1.25]},
}


def test_both_forms_give_back_what_they_read() -> None:
    read = dicom_json.read(_bytes(SAMPLE))
    assert dicom_json.write(read) == _bytes(SAMPLE)
    assert native_xml.read(native_xml.write(read)) == read
    assert Dataset.from_json(dicom_json.write(read).decode()).PatientName == "Wang^XiaoDong==x"


def _bytes(value: Any) -> bytes:
    return orjson.dumps(value)


@pytest.mark.parametrize(
    ("attribute", "written"),
    [
        (Attribute(0x00200013, "IS", ("seven",)), {"vr": "IS", "Value": ["seven"]}),
        (Attribute(0x00181318, "DS", ("1e999",)), {"vr": "DS", "Value": ["1e999"]}),
        (Attribute(0x00280010, "US", ("many",)), {"vr": "US"}),
        (Attribute(0x00189073, "FD", ("nan",)), {"vr": "FD"}),
        (Attribute(0x00100010, "PN", ("==",)), {"vr": "PN"}),
        (Attribute(0x00200011, "IS", ("99999999999999999999",)), {"vr": "IS", "Value": ["99999999999999999999"]}),
        (Attribute(0x00080060, "CS", ("", "")), {"vr": "CS"}),
    ],
    ids=lambda value: getattr(value, "vr", ""),
)
def test_a_value_that_is_no_number_is_a_string_or_left_out(attribute: Attribute, written: Any) -> None:
    assert dicom_json.write({attribute.tag: attribute}) == _bytes({f"{attribute.tag:08X}": written})


def test_xml_leaves_out_what_no_document_may_hold() -> None:
    written = native_xml.write({0x00104000: Attribute(0x00104000, "LT", ("a\x1bb\0c\ufffed",))})
    assert native_xml.read(written)[0x00104000].values == ("abcd",)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("vr", "Value", "00100010", "00400270", "0020000D", "Alphabetic", "InlineBinary", "x")),
            inner,
        )
    ),
    max_leaves=12,
)


@given(JSON_VALUES, st.binary(max_size=60))
def test_any_body_is_read_or_malformed(value: Any, noise: bytes) -> None:
    for read, body in ((dicom_json.read, _bytes(value)), (dicom_json.read, noise), (native_xml.read, noise)):
        try:
            dataset = read(body)
        except Malformed:
            continue
        dicom_json.write(dataset)
        native_xml.write(dataset)


def test_an_entity_is_not_read() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><NativeDicomModel>&b;</NativeDicomModel>'
    with pytest.raises(Malformed, match="document type"):
        native_xml.read(bomb)


def test_parts_are_what_was_written() -> None:
    content_type, body = multipart.write([b"{}", b"\r\n--x\xff"], JSON)
    assert multipart.read(content_type, body) == [(JSON, b"{}"), (JSON, b"\r\n--x\xff")]
    for broken in ("multipart/related", "multipart/related; boundary=other", "text/plain"):
        with pytest.raises(Malformed):
            multipart.read(broken, body)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("*/*", JSON),
        ("application/*;q=0.2, application/dicom+xml", XML),
        (f"{JSON};q=0, */*", "application/json"),
        (f'{XML};q=nonsense, multipart/related; type="{XML}"', f'multipart/related; type="{XML}"'),
        (f'multipart/related; type="{JSON}, {XML}"', None),
        ('a"b, application/dicom+json', None),
        ("APPLICATION/DICOM+JSON; charset=utf-8", JSON),
        ("", None),
        (",;,/,", None),
    ],
)
def test_the_preferred_media_type(header: str, expected: str | None) -> None:
    chosen = Accepted(header).preferred(RESULTS)
    assert (str(chosen[0]) if chosen else None) == expected
    assert Accepted(None).preferred(RESULTS) == []
    assert Accepted("*/*", XML).preferred(RESULTS) == [MediaType(XML)]


@pytest.mark.parametrize(
    ("charsets", "takes"),
    [("", True), ("*", True), ("utf-8;q=0", False), ("UTF-8", True), ("iso-8859-1", False), ("latin1, *;q=0.1", True)],
)
def test_charsets(charsets: str, takes: bool) -> None:
    assert media_types.takes_utf_8(charsets) is takes
