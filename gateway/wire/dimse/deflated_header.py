"""The header of a deflated data set: inflated as it is walked over, so that what is left out is never in memory."""

from __future__ import annotations

import sys
from typing import Final

from gateway.dicom_encoding import UNDEFINED, Encoded, Encoding, tag_name
from gateway.errors import Malformed
from gateway.wire.dimse.elements import PIXEL_TAGS, EncodedElement, coding_of, element_at, is_bulk, short_vr, value_end
from gateway.wire.dimse.inflating import pieces

MAX_HEADER_BYTES: Final = 64 * 1024 * 1024
"""A deflated header that grows beyond this is taken for an attack."""
PIECE_BYTES: Final = 256 * 1024
AHEAD_BYTES: Final = 128 * 1024
"""So much is looked at behind the beginning of an element: its own, and the value of a short one without a VR."""


class _Window:
    """The part of a data set that is inflated; it is taken from `at` on."""

    def __init__(self, data: Encoded, begins_at: int) -> None:
        self._pieces = pieces(data, PIECE_BYTES, begins_at)
        self.data = b""
        self.at = 0
        self.is_last = False
        """Nothing comes behind it."""

    def __len__(self) -> int:
        return len(self.data) - self.at

    def fill(self, size: int) -> None:
        """Let it hold so many bytes, or all that are left. Raises `Malformed`."""
        missing, more = size - len(self), list[bytes]()
        while missing > 0 and not self.is_last:
            piece = next(self._pieces, None)
            self.is_last = piece is None
            if piece is not None:
                more.append(piece)
                missing -= len(piece)
        if more:
            self.data, self.at = b"".join([self.data[self.at :], *more]), 0

    def skip(self, size: int) -> bool:
        """Whether there are so many bytes; they are gone."""
        while size > len(self) and not self.is_last:
            size -= len(self)
            self.data, self.at = b"", 0
            self.fill(1)
        there = size <= len(self)
        self.at += min(size, len(self))
        return there


def split(data: Encoded, max_element_bytes: int | None, begins_at: int = 0) -> bytes:
    """What `header.split_header` says, inflated. Raises `Malformed`, for a header beyond `MAX_HEADER_BYTES` too."""
    window, kept, size = _Window(data, begins_at), list[bytes](), 0
    window.fill(AHEAD_BYTES)
    coding = coding_of(window.data[:6], "")
    while window and not _is_padding(window):
        element = element_at(window.data, window.at, len(window.data) if window.is_last else sys.maxsize, coding)
        if element.tag in PIXEL_TAGS:
            break
        if element.length != UNDEFINED and is_bulk(element, element.length, max_element_bytes):
            if not window.skip(element.at - window.at + element.length):
                raise Malformed(f"fewer than the {element.length} bytes announced", place=tag_name(element.tag))
        else:
            encoded, value = _taken(window, element, coding)
            if not is_bulk(element, value, max_element_bytes):
                kept.append(encoded)
                size += len(encoded)
                _check_size(size)
        window.fill(AHEAD_BYTES)
    return b"".join(kept)


def _check_size(size: int) -> None:
    if size > MAX_HEADER_BYTES:
        raise Malformed(f"header is longer than {MAX_HEADER_BYTES} bytes", place="data set")


def _is_padding(window: _Window) -> bool:
    """Zeros behind the last element."""
    at = window.at
    return window.is_last and at > 0 and not any(window.data[at : at + 8]) and not window.data[at:].strip(b"\0")


def _taken(window: _Window, element: EncodedElement, coding: Encoding) -> tuple[bytes, int]:
    """The element that begins the window, with a VR where it came without, and the length of its value.

    Raises `Malformed`, for one beyond `MAX_HEADER_BYTES` too.
    """
    wanted = AHEAD_BYTES if element.length == UNDEFINED else element.at - window.at + element.length
    while True:
        _check_size(wanted)
        window.fill(wanted)
        begin, end = window.at, len(window.data)
        try:
            whole = element_at(window.data, begin, end, coding)
            window.at = value_end(window.data, whole, end, coding, None)
            break
        except Malformed:
            # Of undefined length: its end may come with what follows.
            if window.is_last:
                raise
        wanted = 4 * len(window)
    encoded = window.data[begin : window.at]
    if not coding.implicit and not element.vr:
        encoded = encoded[:4] + short_vr(element) + encoded[6:]
    return encoded, window.at - whole.at
