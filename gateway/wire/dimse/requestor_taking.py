"""What a peer sends over an association of ours beside its responses, and how data sets of it are taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from gateway.wire.dimse.data_set import DataSetFile, IsEnough, UnnamedFile
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.negotiation import AcceptedContext

MAX_DATA_SET_BYTES: Final = 64 * 1024 * 1024
"""Of a response."""

Serve = Callable[[DimseMessage, AcceptedContext, str], Awaitable[bytes]]
"""Answers a request of a peer, whose AE title it gets, over an association of our own: gives the command set of the
response."""


class Taking(NamedTuple):
    """How data sets are taken that a peer sends."""

    max_bytes: int = MAX_DATA_SET_BYTES
    file_for: Callable[[DimseMessage, AcceptedContext], DataSetFile] = lambda _message, _context: UnnamedFile()
    """Makes the file of a data set that is too long for memory. Blocks."""
    enough_of: Callable[[DimseMessage, AcceptedContext], IsEnough | None] = lambda _message, _context: None
    """Gives what knows how much of a data set is wanted."""


RESPONSES_ALONE: Final = Taking()
