"""The kept header of an instance as an item, for results and metadata."""

from __future__ import annotations

import zlib
from typing import Final

from gateway.errors import Malformed
from gateway.wire.dicomweb.dataset import CHARACTER_SET
from gateway.wire.dimse.header import read_all
from gateway.worklist.items import Element, of_identifier

_DESCRIBES_ENCODING: Final = frozenset({CHARACTER_SET})
"""Text is UTF-8 in JSON and XML, whatever it was."""


def item_of(header: bytes, transfer_syntax_uid: str) -> dict[int, Element]:
    """The elements before the pixel data that can be read, `header` compressed by zlib; none of a header that is
    broken or not there."""
    try:
        elements = of_identifier(read_all(zlib.decompress(header), transfer_syntax_uid))
    except (Malformed, zlib.error):
        return {}
    return {tag: element for tag, element in elements.items() if tag not in _DESCRIBES_ENCODING}
