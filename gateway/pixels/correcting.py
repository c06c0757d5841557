"""An instance with a few attributes corrected, and its previous values in Original Attributes Sequence (0400,0561).

Written anew are the elements that change, Original Attributes Sequence, and Specific Character Set where it must
change; everything else is copied from its own bytes, pixels piece by piece. SOP Instance UID and transfer syntax stay.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword

from gateway.dicom_encoding import UNDEFINED, Encoding, header, item, sequence, tag_name
from gateway.pixels.elements import Element, element_at, end_of, items_of, tag_at
from gateway.pixels.encoding import element
from gateway.pixels.faults import BrokenPixels
from gateway.pixels.part10 import DicomFile, opened
from gateway.pixels.rewriting import CHUNK, LENGTH_TO_END, Rewriting, write_meta
from gateway.pixels.syntaxes import DEFLATED
from gateway.pixels.targets import whole_or_none
from gateway.records.correction import Correction, Modification
from gateway.worklist import items
from gateway.worklist.encoding import ASCII_SETS, CHARACTER_SET, REGIONAL, CharacterSets, chosen, encodes
from gateway.worklist.scanner_rules import transliterated

ORIGINAL: Final = 0x04000561
_MODIFIED, _AT, _SYSTEM, _SOURCE, _REASON = 0x04000550, 0x04000562, 0x04000563, 0x04000564, 0x04000565
_MAC_PARAMETERS: Final = 0x4FFE0001
"""Comes with Digital Signatures Sequence, which stands behind the pixels (PS3.3 C.12.1.1.3)."""
_FIRST_COPIED: Final = 0x50000000
"""From here on nothing is looked at: functional groups of frames, overlays, pixels, signatures."""
_MAPPED: Final = 1 << 30
"""Bytes among which corrections stand, at most: a process has less address space than a file may have bytes."""
_TEXTS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose characters are of Specific Character Set (PS3.5 6.1.2.3)."""
_LONGEST: Final = 1 << 20
"""Bytes of an element that is corrected, or of Original Attributes Sequence."""


class _Part(NamedTuple):
    """An element of the source, where it stands."""

    element: Element
    end: int


def corrected(source: Path, target: Path, corrections: Sequence[Correction], modification: Modification) -> list[str]:
    """Write the instance of `source` to `target` with the corrections; returns remarks for people.

    Raises `PixelFault` with the reason where the header cannot be walked over as far as its corrections stand, and
    leaves no target then.
    """
    with opened(source, most_mapped=_MAPPED) as file, whole_or_none(target) as output:
        parts = _parts(file)
        own = {part.element.tag: part for part in parts}
        made, remarks = _encoded(file, own, corrections)
        previous = {tag: _raw(file, own.get(tag)) for tag in made}
        made[ORIGINAL] = _original(file, own.get(ORIGINAL), corrections, modification, previous)
        if _MAC_PARAMETERS in own:
            remarks.append("digital signatures over what was corrected do not hold any more")
        write_meta(file, output, file.syntax)
        _write(file, output, parts, made)
    return remarks


def _parts(file: DicomFile) -> list[_Part]:
    """The elements among which corrections stand. A header that breaks behind them is none of our business."""
    parts: list[_Part] = []
    at, end = file.at, min(file.end, len(file.data))
    while at < end:
        tag = tag_at(file.data, at, file.encoding) if end - at >= 4 else 0
        try:
            one = element_at(file.data, at, end, file.encoding)
            if one.tag >= _FIRST_COPIED:
                break
            at = end_of(file.data, one, end, file.encoding)
        except BrokenPixels:
            # A tag that nobody knows may be any bytes of a value: what is looked for may stand behind them.
            is_behind = tag > ORIGINAL and dictionary_has_tag(tag)
            if is_behind or (parts and parts[-1].element.tag > ORIGINAL):
                break
            raise
        parts.append(_Part(one, at))
    return parts


def _raw(file: DicomFile, part: _Part | None) -> bytes:
    """The whole element; empty: there is none."""
    if part is None:
        return b""
    if part.end - part.element.start > _LONGEST:
        raise BrokenPixels("too long to be corrected", place=tag_name(part.element.tag))
    return bytes(file.data[part.element.start : part.end])


def _encoded(
    file: DicomFile, own: dict[int, _Part], corrections: Sequence[Correction]
) -> tuple[dict[int, bytes], list[str]]:
    """Tag -> the element that takes its place, and remarks on characters."""
    attributes = {one.keyword: one.value for one in corrections}
    wanted = items.Stored(attributes)
    elements = [wanted[tag] for tag in sorted(wanted)]
    characters = frozenset[str]().union(*(one.foreign for one in elements))
    stated = _character_sets(file, own.get(CHARACTER_SET))
    sets, remarks = stated, list[str]()
    if characters and not encodes(stated, characters):
        regional, is_ascii = chosen(REGIONAL, characters), ASCII_SETS.issuperset(stated)
        if is_ascii and (regional == REGIONAL[0] or not _has_foreign(file, own, wanted)):
            sets = regional
        else:
            names = ", ".join(one.keyword for one in elements if one.foreign and not encodes(stated, one.foreign))
            why = f"Specific Character Set {_joined(stated)} has no others"
            why = "the set of other texts is not stated" if is_ascii else why
            remarks.append(f"{names} in ASCII letters: {why}")
            wanted = items.Stored(transliterated(attributes, stated))
    made = {tag: element(one, file.encoding, sets) for tag, one in sorted(wanted.items())}
    if sets != stated:
        value = items.Element(CHARACTER_SET, "CS", "SpecificCharacterSet", sets)
        made[CHARACTER_SET] = element(value, file.encoding, sets)
        remarks.append(f"Specific Character Set is {_joined(sets)} now")
    return made, remarks


def _has_foreign(file: DicomFile, own: Mapping[int, _Part], leaving: Collection[int]) -> bool:
    """Whether texts that stay have characters that no stated set is of. They are mostly ISO_IR 100's; another set over
    them would make other letters of them."""
    return any(
        part.end - part.element.at <= _LONGEST and not file.data[part.element.at : part.end].isascii()
        for tag, part in own.items()
        if tag not in leaving and (part.element.vr or _vr_of(tag)) in _TEXTS
    )


def _vr_of(tag: int) -> str:
    return dictionary_VR(tag) if dictionary_has_tag(tag) else ""


def _character_sets(file: DicomFile, part: _Part | None) -> CharacterSets:
    value = b"" if part is None else _raw(file, part)[part.element.at - part.element.start :]
    sets = tuple(one.strip(" \0") for one in value.decode("ascii", "replace").split("\\"))
    return sets if any(sets) else ()


def _joined(sets: CharacterSets) -> str:
    return "\\".join(sets)


def _original(
    file: DicomFile,
    held: _Part | None,
    corrections: Sequence[Correction],
    modification: Modification,
    previous: Mapping[int, bytes],
) -> bytes:
    """Original Attributes Sequence: its items as they are, and behind them one for each reason."""
    made = b"" if held is None else _items_of(file, held)
    for reason in dict.fromkeys(one.reason for one in corrections):
        tags = {tag_for_keyword(one.keyword) or 0 for one in corrections if one.reason == reason}
        # Of the previous values: an item may have a set of its own (PS3.3 C.12.1.1.2).
        tags |= {CHARACTER_SET} & previous.keys()
        before = b"".join(previous[tag] or _empty(tag, file.encoding) for tag in sorted(tags))
        stated = _stated(modification, reason)
        body = sequence(_MODIFIED, [before], file.encoding) + b"".join(
            element(one, file.encoding, ()) for one in stated
        )
        made += item(body, file.encoding)
    return header(file.encoding, ORIGINAL, "SQ", len(made)) + made


def _stated(modification: Modification, reason: str) -> Iterator[items.Element]:
    values = (
        (_AT, "DT", modification.at), (_SYSTEM, "LO", modification.system),
        (_SOURCE, "LO", modification.source), (_REASON, "CS", reason),
    )  # fmt: skip
    for tag, vr, value in values:
        yield items.Element(tag, vr, "", (value,))


def _empty(tag: int, encoding: Encoding) -> bytes:
    """What was not there has no value there."""
    return header(encoding, tag, dictionary_VR(tag)[:2], 0)


def _items_of(file: DicomFile, part: _Part) -> bytes:
    """The items of Original Attributes Sequence as they came; those that somebody did not know, and wrote under VR UN,
    in the encoding of the data set."""
    found, raw = part.element, _raw(file, part)
    if found.vr not in ("SQ", "UN", ""):
        raise BrokenPixels(f"VR {found.vr} where a sequence should be", place=tag_name(ORIGINAL))
    # What is no item would hide those behind it.
    held = list(items_of(file.data, found, file.end, file.encoding))
    if found.vr != "UN":
        return raw[found.at - found.start : len(raw) - (8 if found.length == UNDEFINED else 0)]
    if not file.encoding.little:
        raise BrokenPixels("VR UN in big endian", place=tag_name(ORIGINAL))
    made = b""
    for one in held:
        body = BytesIO()
        Rewriting(file, body, file.encoding, signed=False).data_set(one.at, one.end, one.encoding)
        made += item(body.getvalue(), file.encoding)
    return made


def _write(file: DicomFile, output: BinaryIO, parts: Sequence[_Part], made: dict[int, bytes]) -> None:
    target = cast(BinaryIO, _Deflating(output)) if file.syntax == DEFLATED else output
    groups = {tag >> 16 for tag in made}
    waiting = sorted(made)
    begun = file.at
    for part in parts:
        tag = part.element.tag
        goes = tag in made or tag == LENGTH_TO_END or (not tag & 0xFFFF and tag >> 16 in groups)
        if goes or (waiting and waiting[0] < tag):
            _copy(file, target, begun, part.element.start)
            begun = part.end if goes else part.element.start
            while waiting and waiting[0] <= tag:
                target.write(made[waiting.pop(0)])
    if waiting:
        last = parts[-1].end if parts else file.at
        _copy(file, target, begun, last)
        begun = last
        target.write(b"".join(made[tag] for tag in waiting))
    _copy(file, target, begun, file.end)
    if isinstance(target, _Deflating):
        target.finish()


def _copy(file: DicomFile, target: BinaryIO, at: int, end: int) -> None:
    for start in range(at, end, CHUNK):
        target.write(file.read(start, min(CHUNK, end - start)))


class _Deflating:
    """Deflates what is written (PS3.5 A.5)."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._deflator = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._size = 0

    def write(self, piece: bytes) -> None:
        self._out(self._deflator.compress(piece))

    def finish(self) -> None:
        """Write the rest, to an even length."""
        self._out(self._deflator.flush())
        self._out(b"\0" * (self._size % 2))

    def _out(self, piece: bytes) -> None:
        self._output.write(piece)
        self._size += len(piece)
