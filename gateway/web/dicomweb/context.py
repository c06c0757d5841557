"""What the handlers of DICOMweb are given."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from aiohttp import web

from gateway.errors import InvalidValue
from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.storage_commitment.station import StorageCommitment
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.worklist.station import Worklist
from gateway.web.dicomweb.storing.arriving import Room
from gateway.web.dicomweb.storing.batch import AT_A_TIME_IN_ALL

PATH: Final = "/dicomweb"
"""Of the base URI, below the console's address."""
_UID: Final = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Storing:
    """How instances are taken."""

    station: StudyArrival
    room: Room
    max_bytes: int
    """Of a request."""
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME_IN_ALL))
    """Of instances that are being kept, of all requests."""


@dataclass(frozen=True, slots=True)
class DicomWebContext:
    """The stations that both protocols share."""

    worklist: Worklist
    performed_steps: PerformedSteps
    commitment: StorageCommitment | None
    """None: instances are not kept with their pixels, and nothing can be committed."""
    zone: tzinfo
    """Of the worklist's dates and times."""
    storing: Storing | None = None
    """None: instances are not taken over the web."""


CONTEXT: Final = web.AppKey("context", DicomWebContext)


def uid_of(request: web.Request, name: str) -> str:
    """The UID in the path, which is called `name`. Raises `InvalidValue`."""
    uid = request.match_info["uid"]
    if not _UID.fullmatch(uid):
        raise InvalidValue("is no UID (PS3.5 9.1)", place=name)
    return uid


def base_uri(request: web.Request) -> str:
    """The base URI as whoever asks knows it."""
    return f"{request.scheme}://{request.host}{PATH}"
