"""Data sets of single instances, of which an archive answers less to a query: by C-GET, or by C-MOVE to ourselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from gateway.dicom_encoding import EXPLICIT_LITTLE
from gateway.errors import GatewayError, Malformed, NeedsPerson, Unavailable, UnsupportedType
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.wire.dimse import StoreRequest
from gateway.wire.dimse.elements import DEFLATED
from gateway.wire.dimse.header import split_header
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_query import Keys, Level
from gateway.wire.dimse.requestor_retrieve import Retrieved, get, move, moving, retrieving

LONGEST_BROKEN: Final = 1024 * 1024
"""Bytes that are kept of a data set whose header cannot be cut out."""


class Wanted(NamedTuple):
    """An instance, or where `sop_uid` is empty a series."""

    study_uid: str
    series_uid: str
    sop_uid: str = ""
    sop_class_uid: str = ""
    """Empty: the archive has not named it."""

    @property
    def level(self) -> Level:
        return "IMAGE" if self.sop_uid else "SERIES"

    @property
    def keys(self) -> Keys:
        keys = {"StudyInstanceUID": self.study_uid, "SeriesInstanceUID": self.series_uid}
        return keys | {"SOPInstanceUID": self.sop_uid} if self.sop_uid else keys


class Brought(NamedTuple):
    """What an archive has brought."""

    instances: Mapping[str, Incoming] = {}
    """By SOP Instance UID; empty where they come by C-STORE."""
    failure: GatewayError | None = None
    """The first with which the archive has answered."""


class Retrieval(Protocol):
    """Raises `Unavailable` and `Rejected` where the archive is not reached."""

    async def retrieve(self, wanted: Sequence[Wanted], sender: Sender) -> Brought:
        """Ask for each of `wanted`, whatever came of the others."""


class ByGet:
    """C-GET: only headers are taken, since the pixels are in the archive."""

    def __init__(self, peer: RequestedPeer, max_bytes: int, temporary_folder: Path | None = None) -> None:
        self._peer = peer
        self._retrieving = partial(retrieving, max_bytes=max_bytes, temporary_folder=temporary_folder)

    async def retrieve(self, wanted: Sequence[Wanted], sender: Sender) -> Brought:
        brought: dict[str, Incoming] = {}

        async def store(request: StoreRequest) -> None:
            brought[request.sop_instance_uid] = await asyncio.to_thread(_header_of, request, sender)

        classes = [one.sop_class_uid for one in wanted]
        named = classes if all(classes) else []
        async with self._retrieving(self._peer, named, store) as association:
            return Brought(brought, await _each(wanted, lambda one: get(association, one.level, one.keys)))


class ByMove:
    """C-MOVE to our own storage SCP, `destination` as the archive knows it: what comes is kept as all that is sent."""

    def __init__(self, peer: RequestedPeer, destination: str) -> None:
        self._peer = peer
        self._destination = destination

    async def retrieve(self, wanted: Sequence[Wanted], sender: Sender) -> Brought:
        async with moving(self._peer) as association:
            to = self._destination
            return Brought({}, await _each(wanted, lambda one: move(association, one.level, one.keys, to)))


async def _each(wanted: Sequence[Wanted], ask: Callable[[Wanted], Awaitable[Retrieved]]) -> GatewayError | None:
    """The first failure that the archive answers with. Raises `Unavailable` where it does not answer."""
    failure: GatewayError | None = None
    for one in wanted:
        try:
            await ask(one)
        except UnsupportedType as error:
            return error
        except (Unavailable, NeedsPerson) as error:
            if "status" not in error.details:
                raise
            failure = failure or error
    return failure


def _header_of(request: StoreRequest, sender: Sender) -> Incoming:
    """A header that is broken goes on as it came, for whoever keeps it knows what can be saved."""
    syntax, begins_at = request.transfer_syntax_uid, request.begins_at
    try:
        header = split_header(request.data, syntax, begins_at=begins_at)
        syntax = EXPLICIT_LITTLE if syntax in DEFLATED else syntax
    except Malformed:
        header = bytes(request.data[begins_at : begins_at + LONGEST_BROKEN])
    return Incoming(sender, syntax, header, request.sop_class_uid, request.sop_instance_uid, keeps_pixels=False)
