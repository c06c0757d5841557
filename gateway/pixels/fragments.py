"""Which bytes are which frame of encapsulated Pixel Data (PS3.5 A.4). The frames themselves stay in the file."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from gateway.dicom_encoding import Encoded
from gateway.pixels.elements import items_of
from gateway.pixels.faults import BrokenPixels
from gateway.pixels.image import Image
from gateway.pixels.part10 import DicomFile

_END_OF_IMAGE: Final = b"\xff\xd9"
"""Ends a stream of JPEG, JPEG-LS and JPEG 2000."""


class Fragment(NamedTuple):
    at: int
    length: int


Frame = Sequence[Fragment]


def frames_of(file: DicomFile, image: Image) -> list[Frame]:
    """The fragments of each frame; raises `BrokenPixels` unless there are as many as the data set states."""
    items = items_of(file.data, image.pixels, file.end, file.encoding)
    table, *fragments = [Fragment(item.at, item.end - item.at) for item in items] or [Fragment(0, 0)]
    if not fragments:
        raise BrokenPixels("the encapsulated Pixel Data have no fragment", place="PixelData")
    frames = (
        _by_offsets(fragments, _extended(file.data, image), image.frames)
        or _by_offsets(fragments, _basic(file.data, table), image.frames)
        or _by_number(file.data, fragments, image.frames)
    )
    if len(frames) != image.frames:
        raise BrokenPixels(f"{len(frames)} frames are there, {image.frames} are stated", place="PixelData")
    return frames


def encoded_frame(file: DicomFile, frame: Frame) -> bytes:
    """The bytes of a frame."""
    return b"".join(file.read(one.at, one.length) for one in frame)


def _extended(data: Encoded, image: Image) -> list[int]:
    table = image.offsets
    return list(struct.unpack_from(f"<{table.length // 8}Q", data, table.at)) if table is not None else []


def _basic(data: Encoded, item: Fragment) -> list[int]:
    return list(struct.unpack_from(f"<{item.length // 4}L", data, item.at))


def _by_offsets(fragments: list[Fragment], offsets: list[int], frames: int) -> list[Frame]:
    """Offsets count from the item of the first fragment. A table that fits no fragment is no table."""
    if len(offsets) != frames:
        return []
    first = fragments[0].at - 8
    index = {one.at - 8 - first: number for number, one in enumerate(fragments)}
    starts = [index.get(offset, -1) for offset in offsets]
    if starts[0] != 0 or any(after <= before for before, after in pairwise(starts)):
        return []
    return [fragments[start:end] for start, end in zip(starts, [*starts[1:], len(fragments)], strict=True)]


def _by_number(data: Encoded, fragments: list[Fragment], frames: int) -> list[Frame]:
    if frames == 1:
        return [fragments]
    if len(fragments) <= frames:
        return [[one] for one in fragments]
    found: list[Frame] = []
    gathered: list[Fragment] = []
    for one in fragments:
        gathered.append(one)
        if _END_OF_IMAGE in data[max(one.at, one.at + one.length - 10) : one.at + one.length]:
            found.append(gathered)
            gathered = []
    return [*found, gathered] if gathered else found
