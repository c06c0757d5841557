"""Deflated data sets (PS3.5 A.5): limits count what they inflate to, for a kilobyte may inflate to a megabyte."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from gateway.dicom_encoding import EXPLICIT_LITTLE, Encoded
from gateway.errors import Malformed, TooLarge
from gateway.long_work import LONG_BYTES
from gateway.wire.dimse.elements import DEFLATED

INPUT_BYTES: Final = 64 * 1024
"""Deflated bytes that are taken at a time."""


def is_long(data: Encoded, transfer_syntax_uid: str) -> bool:
    """Whether reading a data set is long work (`gateway.long_work`): what a deflated one comes to is not known."""
    return len(data) > LONG_BYTES or transfer_syntax_uid in DEFLATED


def undeflated(data: bytes, transfer_syntax_uid: str, most: int) -> tuple[bytes, str]:
    """A data set without deflation, and the transfer syntax that it has then. Raises what `inflated` raises."""
    if transfer_syntax_uid not in DEFLATED:
        return data, transfer_syntax_uid
    return inflated(data, most), EXPLICIT_LITTLE


def inflated(data: Encoded, most: int) -> bytes:
    """The whole data set. Raises `Malformed`, or `TooLarge` for more than `most` bytes, before there are more."""
    whole = bytearray()
    for piece in pieces(data, INPUT_BYTES):
        whole += piece
        if len(whole) > most:
            raise TooLarge(f"inflates to more than {most} bytes", place="data set")
    return bytes(whole)


def pieces(data: Encoded, size: int, begins_at: int = 0) -> Iterator[bytes]:
    """What the data set inflates to that begins at `begins_at`, at most `size` bytes at a time (RFC 1951, no zlib
    header).

    Raises `Malformed`. What stands behind the end of the stream is not looked at.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    at, rest = begins_at, b""
    while not inflater.eof and (rest or at < len(data)):
        if not rest:
            rest = bytes(data[at : at + INPUT_BYTES])
            at += len(rest)
        try:
            piece = inflater.decompress(rest, size)
        except zlib.error as error:
            raise Malformed("deflated data set cannot be inflated", place="data set") from error
        rest = inflater.unconsumed_tail
        if piece:
            yield piece
    # Behind the last input something may still wait in the inflater.
    while not inflater.eof and (piece := inflater.decompress(b"", size)):
        yield piece
