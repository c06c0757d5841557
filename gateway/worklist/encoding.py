"""Elements as bytes: explicit and implicit VR little endian (PS3.5 7.1), text in any of DICOM's character sets."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final

from pydicom.charset import convert_encodings, custom_encoders, encode_string, python_encoding
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from gateway.worklist.items import TEXT_VRS, Element, Item

CharacterSets = tuple[str, ...]
"""Values of Specific Character Set (0008,0005); empty: the default repertoire, ISO-IR 6."""

_LONG_VRS: Final = frozenset(vr.value for vr in EXPLICIT_VR_LENGTH_32)
NUMBERS: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
"""VR -> the format of one value (`struct`)."""
_SHORT: Final = struct.Struct("<H").pack
_LONG: Final = struct.Struct("<I").pack
_ONE_VALUE: Final = frozenset({"LT", "ST", "UT"})
_ITEM: Final = struct.pack("<HH", 0xFFFE, 0xE000)
CHARACTER_SET: Final = 0x00080005


def encoded(element: Element, explicit: bool, sets: CharacterSets) -> bytes:
    """The whole element: tag, VR, length, value."""
    if element.vr == "SQ":
        return sequence(element.tag, [_joined(one, explicit, sets) for one in element.items], explicit)
    return _element(element.tag, element.vr, value_of(element.vr, element.values, sets), explicit)


def _joined(elements: Item, explicit: bool, sets: CharacterSets) -> bytes:
    return b"".join(encoded(elements[tag], explicit, sets) for tag in sorted(elements))


def character_set(sets: CharacterSets, explicit: bool) -> bytes:
    value = "\\".join(sets).encode("ascii")
    return _element(CHARACTER_SET, "CS", value + b" " * (len(value) % 2), explicit)


def sequence(tag: int, items: Iterable[bytes], explicit: bool) -> bytes:
    """PS3.5 7.5, with explicit lengths."""
    return _element(tag, "SQ", b"".join(map(item, items)), explicit)


def item(elements: bytes) -> bytes:
    return _ITEM + _LONG(len(elements)) + elements


def _element(tag: int, vr: str, value: bytes, explicit: bool) -> bytes:
    head, length = header_of(tag, vr, explicit)
    return head + length(len(value)) + value


def header_of(tag: int, vr: str, explicit: bool) -> tuple[bytes, Callable[[int], bytes]]:
    """What stands before the length of a value, and what writes the length (PS3.5 7.1.2, 7.1.3)."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return head, _LONG
    if vr in _LONG_VRS:
        return head + vr.encode("ascii") + b"\0\0", _LONG
    return head + vr.encode("ascii"), _SHORT


def value_of(vr: str, values: Sequence[str], sets: CharacterSets) -> bytes:
    """The value, of even length; numbers little endian."""
    if not any(values):
        return b""
    if vr in NUMBERS:
        return b"".join(struct.pack("<" + NUMBERS[vr], float(one) if vr[0] == "F" else int(one)) for one in values)
    if vr in TEXT_VRS:
        joined = b"\\".join(_text(vr, one, sets) for one in values)
    else:
        joined = "\\".join(values).encode("ascii", "replace")
    return joined + padding_of(vr) * (len(joined) % 2)


def padding_of(vr: str) -> bytes:
    return b"\0" if vr == "UI" else b" "


def _text(vr: str, value: str, sets: CharacterSets) -> bytes:
    """Code extensions begin anew after each delimiter of a name and each control character (PS3.5 6.1.2.5.3)."""
    if value.isascii():
        return value.encode("ascii")
    codecs = _codecs(sets)
    if len(codecs) == 1 and codecs[0] in _WITHOUT_EXTENSIONS:
        with suppress(UnicodeEncodeError):
            return value.encode(codecs[0])
    return b"".join(_extended(part, codecs) for part in (_NAME_PARTS if vr == "PN" else _LINES).split(value))


_NAME_PARTS: Final = re.compile(r"([=^])")
_LINES: Final = re.compile(r"([\t\n\f\r])")
_GB_2312: Final = "iso_ir_58"
_TO_GB_2312: Final = b"\x1b$)A"


def _extended(part: str, codecs: list[str]) -> bytes:
    if part.isascii():
        return part.encode("ascii")
    encoded = encode_string(part, codecs)
    # Of all the sets with code extensions this is the one that pydicom writes without its escape sequence.
    return _TO_GB_2312 + encoded if _GB_2312 in codecs and encoded == part.encode("gb2312", "replace") else encoded


@lru_cache(maxsize=256)
def _codecs(sets: CharacterSets) -> list[str]:
    return list(convert_encodings(list(sets) or ""))


ASCII_SETS: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_ALONE: Final = frozenset({"ISO_IR 192", "GB18030", "GBK"})
"""Sets without code extensions (PS3.3 C.12.1.1.2)."""
REGIONAL: Final[Sequence[CharacterSets]] = (
    ("ISO_IR 100",), ("ISO_IR 101",), ("ISO_IR 148",), ("ISO_IR 109",), ("ISO_IR 110",), ("ISO_IR 144",),
    ("ISO_IR 126",), ("ISO_IR 138",), ("ISO_IR 127",), ("ISO_IR 166",),
)  # fmt: skip
"""Sets of one byte a character: Western and Central European, Turkish, Southern and Northern European, Cyrillic, Greek,
Hebrew, Arabic, Thai."""
UTF_8: Final[CharacterSets] = ("ISO_IR 192",)


_WITHOUT_EXTENSIONS: Final = frozenset(python_encoding[one] for sets in (*REGIONAL, _ALONE) for one in sets)


@lru_cache(maxsize=8192)
def encodes(sets: CharacterSets, characters: frozenset[str]) -> bool:
    """Whether every one of the characters can be written. With code extensions each may come from another set."""
    if not all(one in python_encoding for one in sets) or (len(sets) > 1 and _ALONE.intersection(sets)):
        return False
    codecs = ["ascii" if one in ASCII_SETS else python_encoding[one] for one in sets]
    return all(any(_fits(one, codec) for codec in codecs) for one in characters)


def chosen(preferred: Sequence[CharacterSets], characters: frozenset[str]) -> CharacterSets:
    """The first of the preferred sets in which all of the characters can be written, else UTF-8."""
    return next((sets for sets in preferred if encodes(sets, characters)), UTF_8)


@lru_cache(maxsize=4096)
def _fits(character: str, codec: str) -> bool:
    try:
        custom_encoders[codec](character) if codec in custom_encoders else character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
