"""An instance that came as metadata (DICOM JSON or Native DICOM Model) with bulk data, as an encoded data set in
pieces: Explicit VR Little Endian, texts in UTF-8; compressed pixel data encapsulated (PS3.5 A.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from gateway.dicom_encoding import (
    EXPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG_VRS,
    SEQUENCE_END,
    UNDEFINED,
    encoding_of,
    header,
    tag_name,
)
from gateway.errors import Malformed, RequiredMissing
from gateway.journey.study_arrival.from_elements import encoded_text
from gateway.long_work import pause
from gateway.web.dicomweb.storing.bulk_data import PLAIN, Bulk, BulkData
from gateway.wire.dicomweb.dataset import BINARY, CHARACTER_SET, UTF_8, Attribute, Dataset
from gateway.wire.dimse.elements import PIXEL_TAGS
from gateway.wire.part10_head import Part10Head

_MOST_OF_SHORT_VR: Final = 0xFFFF
_PIECE_BYTES: Final = 1024 * 1024
_ENCODING: Final = encoding_of(EXPLICIT_LITTLE)
_UID: Final = {0x00080016: "SOPClassUID", 0x00080018: "SOPInstanceUID"}


def head_of(dataset: Dataset) -> Part10Head:
    """The UIDs that File Meta Information would name; no transfer syntax. Raises `RequiredMissing`."""
    uids = {tag: (dataset[tag].values or ("",))[0].strip(" \0") for tag in _UID if tag in dataset}
    for tag, keyword in _UID.items():
        if not uids.get(tag):
            raise RequiredMissing(f"{keyword} is missing")
    return Part10Head(uids[0x00080016], uids[0x00080018], "", 0)


def transfer_syntax_of(dataset: Dataset, bulk: BulkData) -> str:
    """That in which `pieces_of` encodes. Raises `RequiredMissing` for pixel data that is not there, or `Malformed`."""
    pixels = [dataset[tag].bulk_uri for tag in PIXEL_TAGS if tag in dataset]
    return _syntax_of([part for uri in pixels if uri for part in bulk.named(uri)])


def _syntax_of(parts: list[Bulk]) -> str:
    syntaxes = {EXPLICIT_LITTLE if part.syntax in PLAIN else part.syntax for part in parts}
    if len(syntaxes) > 1:
        raise Malformed("its frames are in several transfer syntaxes", place="PixelData")
    return syntaxes.pop() if syntaxes else EXPLICIT_LITTLE


def pieces_of(dataset: Dataset, bulk: BulkData) -> Iterator[bytes]:
    """The encoded data set. Raises `RequiredMissing` for bulk data that is not there, `Malformed` for bytes that cannot
    be read."""
    character_set = {CHARACTER_SET: Attribute(CHARACTER_SET, "CS", (UTF_8,))}
    yield from _elements({**dataset, **character_set}, bulk)


def _elements(dataset: Dataset, bulk: BulkData, *, is_item: bool = False) -> Iterator[bytes]:
    for tag in sorted(dataset):
        pause()
        attribute = dataset[tag]
        if attribute.vr == "SQ":
            yield from _sequence(attribute, bulk)
        elif attribute.bulk_uri:
            yield from _bulk(attribute, bulk.named(attribute.bulk_uri), bulk)
        elif attribute.vr in BINARY:
            yield _binary(attribute)
        elif attribute.vr == "AT":
            yield _tags(attribute)
        elif not (is_item and tag == CHARACTER_SET):
            yield encoded_text(attribute)


def _binary(attribute: Attribute) -> bytes:
    """Raises `Malformed` for bytes that cannot be read, such as pixels: nothing would tell the sender that they are
    lost. Of an unknown VR they are left out."""
    if attribute.vr != "UN" and (attribute.binary is None or any(attribute.values)):
        raise Malformed("InlineBinary that is no base64, or a Value in its place", place=tag_name(attribute.tag))
    binary = attribute.binary or b""
    value = binary + b"\0" * (len(binary) % 2)
    return header(_ENCODING, attribute.tag, attribute.vr, len(value)) + value


def _sequence(attribute: Attribute, bulk: BulkData) -> Iterator[bytes]:
    yield header(_ENCODING, attribute.tag, "SQ", UNDEFINED)
    for item in attribute.items:
        yield _mark(ITEM, UNDEFINED)
        yield from _elements(item, bulk, is_item=True)
        yield _mark(ITEM_END, 0)
    yield _mark(SEQUENCE_END, 0)


def _bulk(attribute: Attribute, parts: list[Bulk], bulk: BulkData) -> Iterator[bytes]:
    if attribute.tag in PIXEL_TAGS and parts[0].syntax not in PLAIN:
        yield header(_ENCODING, attribute.tag, "OB", UNDEFINED) + _mark(ITEM, 0)
        for part in parts:
            yield _mark(ITEM, _even(part))
            yield from _content(part, bulk)
        yield _mark(SEQUENCE_END, 0)
        return
    size = sum(map(_even, parts))
    vr = attribute.vr if attribute.vr in LONG_VRS or size <= _MOST_OF_SHORT_VR else "UN"
    yield header(_ENCODING, attribute.tag, vr, size)
    for part in parts:
        yield from _content(part, bulk)


def _even(part: Bulk) -> int:
    size = part.end - part.begin
    return size + size % 2


def _content(part: Bulk, bulk: BulkData) -> Iterator[bytes]:
    size = part.end - part.begin
    for at in range(0, size, _PIECE_BYTES):
        yield bulk.bytes_of(part, at, at + _PIECE_BYTES)
    if size % 2:
        yield b"\0"


def _tags(attribute: Attribute) -> bytes:
    """Of values that are tags in hexadecimal digits; without them where they are not."""
    try:
        value = b"".join(struct.pack("<HH", *divmod(int(one, 16), 0x10000)) for one in attribute.values if one)
    except (ValueError, struct.error):
        value = b""
    return header(_ENCODING, attribute.tag, "AT", len(value)) + value


def _mark(tag: int, length: int) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
