"""Data sets as DICOMweb reads and writes them: attributes by tag, values as text."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks
from gateway.errors import Malformed

MAX_DEPTH: Final = 64
"""Sequences nested deeper than this are taken for an attack; the deepest of PS3.3 nest about ten."""
CHARACTER_SET: Final = 0x00080005
UTF_8: Final = "ISO_IR 192"
"""What text in JSON and in XML is, in terms of Specific Character Set (PS3.18 F.2.1.2)."""
BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_HEX: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)


WITHOUT_SIGNS: Final = {ord(sign): None for sign in "(),"}
"""A tag as `(0018,9352)` in JSON and in XML is `00189352` (PS3.18 F.2.3)."""


class Readable(Protocol):
    """An attribute to write. `values` are texts without padding, empty ones included; of a sequence `items` count. A
    binary value is a text of its bytes, each the character of ISO 8859-1 with its number."""

    @property
    def tag(self) -> int: ...
    @property
    def vr(self) -> str: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    @property
    def items(self) -> Sequence[Mapping[int, Readable]]: ...


class Attribute(NamedTuple):
    """An attribute that was read. A binary value is no text: it stands in `binary`, or elsewhere under `bulk_uri`."""

    tag: int
    vr: str
    values: tuple[str, ...] = ()
    items: tuple[Mapping[int, Attribute], ...] = ()
    binary: bytes | None = b""
    """Of InlineBinary; None: what stands there is no base64."""
    bulk_uri: str = ""
    """Of BulkDataURI, or of a BulkData element."""


def base64_of(attribute: Readable) -> str:
    """The bytes of a binary value, for InlineBinary (PS3.18 F.2.7)."""
    return base64.b64encode("".join(attribute.values).encode("latin_1", "replace")).decode("ascii")


def bytes_of(base64_text: str) -> bytes | None:
    """The bytes of InlineBinary, which may be broken into lines; None for what is no base64."""
    try:
        return base64.b64decode("".join(base64_text.split()), validate=True)
    except ValueError:
        return None


Dataset = Mapping[int, Attribute]
"""Attributes by tag, without group lengths and without the groups of command sets and file meta information."""


def tag_of(written: str) -> int | None:
    """A tag from its eight hexadecimal digits; None for other text."""
    return int(written, 16) if _HEX.fullmatch(written) else None


@lru_cache(maxsize=4096)
def tag_named(attribute_id: str) -> int | None:
    """The tag that an attribute ID names: eight hexadecimal digits or a keyword of PS3.6 (PS3.18 8.3.4.1)."""
    tag = tag_of(attribute_id)
    named = tag_for_keyword(attribute_id) if tag is None else tag
    return None if named is None else int(named)


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """The VR of PS3.6; UN for what PS3.6 does not have."""
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


@lru_cache(maxsize=4096)
def keyword_of(tag: int) -> str:
    """The keyword of PS3.6; empty for what PS3.6 does not have."""
    return str(keyword_for_tag(tag))


def is_of_data_sets(tag: int) -> bool:
    """Whether a data set may hold it: no group length, no command set, no file meta information (PS3.5 7.1)."""
    return tag >> 16 > 0x0007 and bool(tag & 0xFFFF)


def check_depth(depth: int, place: str) -> None:
    """Raises `Malformed`."""
    if depth > MAX_DEPTH:
        raise Malformed(f"sequences nest deeper than {MAX_DEPTH}", place=place)
