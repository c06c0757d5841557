"""An instance of which a source gives attributes, and no bytes: metadata of WADO-RS, answers to C-FIND and QIDO-RS."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from gateway.dicom_encoding import EXPLICIT_LITTLE
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.mapping.attributes import BINARY
from gateway.records.arrival import HeaderRank
from gateway.worklist.encoding import CHARACTER_SET, UTF_8, character_set, encoded, sequence
from gateway.worklist.items import Decoded, of_identifier


def from_elements(elements: Mapping[int, Decoded], sender: Sender, rank: HeaderRank) -> Incoming:
    """The instance with these elements as its header, which is then read as every other is.

    Answers of several levels (study, series, instance) are laid over one another before.
    """
    return Incoming(sender, EXPLICIT_LITTLE, encoded_elements(elements), rank=rank, keeps_pixels=False)


def encoded_elements(elements: Mapping[int, Decoded]) -> bytes:
    """In Explicit VR Little Endian, texts in UTF-8. Binary values, and values that their VR does not allow, are left
    out; the same elements always give the same bytes."""
    written = dict(_encoded(elements))
    written[CHARACTER_SET] = character_set(UTF_8, explicit=True)
    return b"".join(written[tag] for tag in sorted(written))


def _encoded(elements: Mapping[int, Decoded]) -> Iterator[tuple[int, bytes]]:
    for tag, element in sorted(elements.items()):
        if element.vr == "SQ":
            items = [b"".join(one for _, one in _encoded(item)) for item in element.items]
            yield tag, sequence(tag, items, explicit=True)
        elif element.vr not in BINARY and tag != CHARACTER_SET and (written := encoded_text(element)):
            yield tag, written


def encoded_text(element: Decoded) -> bytes:
    """An element that is neither binary nor a sequence, as of `encoded_elements`; empty where its VR does not allow the
    value."""
    [one] = of_identifier({element.tag: element}).values()
    try:
        return encoded(one, explicit=True, sets=UTF_8)
    except (struct.error, ValueError, OverflowError):
        return b""
