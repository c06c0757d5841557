"""The response identifiers of a Modality Worklist query (PS3.4 K.4.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from pydicom.charset import custom_encoders, python_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

NEVER_KEYS = frozenset({"SpecificCharacterSet", "TimezoneOffsetFromUTC", "HL7InstanceIdentifier"})
"""(0008,0005), (0008,0201) and (0040,A390) describe the data set; they are no keys (PS3.4 K.4.1.1.3)."""

STEP_SEQUENCE = Tag("ScheduledProcedureStepSequence")
_CHARACTER_SET = Tag("SpecificCharacterSet")

_TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_GROUPS_OUTSIDE_DATA_SETS = 0x0007
PADDING = " \0"
"""Not significant at the ends of a value (PS3.5 6.2)."""


def attributes(dataset: Dataset) -> Iterator[DataElement]:
    """The elements without group lengths (gggg,0000) and strays of the command set or the file meta group."""
    for element in dataset:
        if element.tag.element and element.tag.group > _GROUPS_OUTSIDE_DATA_SETS:
            yield element


def values(element: DataElement) -> list[str]:
    """The values as text without padding (PS3.5 6.2); empty ones included, for `A\\` has two."""
    value = element.value
    if value is None:
        return []
    if isinstance(value, bytes):
        return [value.decode("latin-1").strip(PADDING)]
    if element.VM > 1:
        return [str(one).strip(PADDING) for one in value]
    return [str(value).strip(PADDING)]


def answer(identifier: Dataset, item: Dataset) -> Dataset:
    """The requested attributes of an item and no others (PS3.4 K.4.1.1.3.2); unknown ones are zero-length.

    Timezone Offset From UTC and HL7 Instance Identifier come along if the item holds them and they were
    requested; Specific Character Set whenever a value is not ASCII: the request's if every value can be
    written in it, else ISO_IR 100 if that suffices, else ISO_IR 192.
    """
    response = _requested(identifier, item)
    texts = list(_texts(response))
    if not all(text.isascii() for text in texts):
        response.SpecificCharacterSet = _character_set(identifier.get(_CHARACTER_SET), texts)
    return response


def _requested(keys: Dataset, stored: Dataset) -> Dataset:
    chosen = Dataset()
    for key in attributes(keys):
        held: DataElement | None = stored.get(key.tag)
        if held is not None and (held.VR == "SQ") != (key.VR == "SQ"):
            held = None
        if key.keyword in NEVER_KEYS:
            if held is not None and not held.is_empty and key.keyword != "SpecificCharacterSet":
                chosen.add(_copy(held))
        elif key.VR == "SQ":
            chosen.add(DataElement(key.tag, "SQ", _requested_items(key, held)))
        elif key.tag.is_private_creator:
            chosen.add(_copy(key))  # says whose the private elements beside it are (PS3.5 7.8.1)
        else:
            chosen.add(DataElement(key.tag, key.VR, None) if held is None else _copy(held))
    return chosen


def _requested_items(key: DataElement, held: DataElement | None) -> Sequence:
    """Zero items, or an empty item, ask for the sequence as it is (K.2.2.1.2)."""
    items = list(held.value or ()) if held is not None else []
    if key.tag == STEP_SEQUENCE:
        items = items[:1]
    inner = key.value[0] if key.value else Dataset()
    return Sequence([_requested(inner if len(inner) else item, item) for item in items])


def _copy(element: DataElement) -> DataElement:
    return DataElement(element.tag, element.VR, element.value, already_converted=True)


def _texts(dataset: Dataset) -> Iterator[str]:
    """Values whose bytes depend on Specific Character Set (PS3.5 6.1.2.3)."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR in _TEXT_VRS:
            yield from values(element)


def _character_set(requested: DataElement | None, texts: list[str]) -> str | list[str]:
    wanted = values(requested) if requested is not None else []
    if wanted and _encodes(wanted, texts):
        return wanted if len(wanted) > 1 else wanted[0]
    return "ISO_IR 100" if _encodes(["ISO_IR 100"], texts) else "ISO_IR 192"


_ASCII_SETS = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_ALONE = frozenset({"ISO_IR 192", "GB18030", "GBK"})
"""Sets without code extensions (PS3.3 C.12.1.1.2)."""


def _encodes(character_sets: list[str], texts: list[str]) -> bool:
    """With code extensions each character may come from another of the sets."""
    if not all(one in python_encoding for one in character_sets):
        return False
    if len(character_sets) > 1 and _ALONE.intersection(character_sets):
        return False
    codecs = ["ascii" if one in _ASCII_SETS else python_encoding[one] for one in character_sets]
    return all(any(_fits(one, codec) for codec in codecs) for one in set("".join(texts)))


@lru_cache(maxsize=4096)
def _fits(character: str, codec: str) -> bool:
    try:
        custom_encoders[codec](character) if codec in custom_encoders else character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
