"""Data sets of DIMSE-N requests, which may name each image of a study."""

from __future__ import annotations

from functools import partial
from typing import Final

from gateway.errors import TooLarge
from gateway.long_work import beside
from gateway.wire.dimse.identifier import Identifier, decode_readable
from gateway.wire.dimse.inflating import is_long, undeflated
from gateway.wire.dimse.message import DimseMessage

MAX_DATA_SET_BYTES: Final = 16 * 1024 * 1024
"""A performed step, a notification and a request for commitment name each of their images: this has room for a hundred
thousand. Of a deflated data set what it inflates to."""


async def read_data_set(message: DimseMessage, transfer_syntax: str) -> tuple[Identifier, bool]:
    """The decoded data set, and whether work on all of its attributes is long work. A number that cannot be read has no
    value. Raises `Malformed` or `TooLarge`."""
    if message.lost or len(message.data_set) > MAX_DATA_SET_BYTES:
        raise TooLarge("nothing that is stated here is that long", place="data set")
    long = is_long(message.data_set, transfer_syntax)
    read = partial(_decoded, bytes(message.data_set), transfer_syntax)
    return (await beside(read) if long else read()), long


def _decoded(data: bytes, transfer_syntax: str) -> Identifier:
    return decode_readable(*undeflated(data, transfer_syntax, MAX_DATA_SET_BYTES))[0]
