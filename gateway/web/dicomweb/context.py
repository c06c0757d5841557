"""What the handlers of DICOMweb are given."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.clock import Clock
from gateway.errors import InvalidValue
from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.storage_commitment.station import StorageCommitment
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.worklist.station import Worklist
from gateway.records.audit import AuditEvent
from gateway.store import Store
from gateway.web.dicomweb.storing.arriving import Room
from gateway.web.dicomweb.storing.batch import AT_A_TIME_IN_ALL

PATH: Final = "/dicomweb"
"""Of the base URI, below the console's address."""
_STUDY_PARTS: Final = {"study": "Study Instance UID", "series": "Series Instance UID", "instance": "SOP Instance UID"}
"""Parts of the paths of studies, and what each is."""
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
    studies: ServedStudies | None = None
    """None: studies are not served."""


@dataclass(frozen=True, slots=True)
class ServedStudies:
    """What searches for studies and their retrieval need."""

    store: Store
    note: Callable[[AuditEvent], None]
    clock: Clock
    path_of: Callable[[str], Path] | None
    """The path of a file by its name in the spool; None: pixels are not kept."""
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS))


READS: Final = 2
"""At a time: worklist queries share the store's readers."""
CONTEXT: Final = web.AppKey("context", DicomWebContext)


def studies_of(request: web.Request) -> ServedStudies:
    """What serves studies, where that is switched on."""
    studies = request.app[CONTEXT].studies
    assert studies is not None
    return studies


def uid_of(request: web.Request, name: str, part: str = "uid") -> str:
    """The UID in the `part` of the path, which is called `name`. Raises `InvalidValue`."""
    uid = request.match_info[part]
    if not _UID.fullmatch(uid):
        raise InvalidValue("is no UID (PS3.5 9.1)", place=name)
    return uid


def study_uids_of(request: web.Request) -> dict[str, str]:
    """The UIDs in the path of a study, by the part: `study`, `series`, `instance`. Raises `InvalidValue`."""
    return {part: uid_of(request, name, part) for part, name in _STUDY_PARTS.items() if part in request.match_info}


def base_uri(request: web.Request) -> str:
    """The base URI as whoever asks knows it."""
    return f"{request.scheme}://{request.host}{PATH}"
