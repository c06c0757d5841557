"""What the handlers of DICOMweb are given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from aiohttp import web

from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.worklist.station import Worklist

PATH: Final = "/dicomweb"
"""Of the base URI, below the console's address."""


@dataclass(frozen=True, slots=True)
class DicomWebContext:
    """The stations that both protocols share."""

    worklist: Worklist
    performed_steps: PerformedSteps
    zone: tzinfo
    """Of the worklist's dates and times."""


CONTEXT: Final = web.AppKey("context", DicomWebContext)


def base_uri(request: web.Request) -> str:
    """The base URI as whoever asks knows it."""
    return f"{request.scheme}://{request.host}{PATH}"
