"""Turn-around times for programs."""

from __future__ import annotations

from typing import Final

from gateway.operations.answers.turnaround import TurnaroundFigures
from gateway.operations.turnaround import figures_of
from gateway.web.requests import TurnaroundParameters
from gateway.web.routes import Route, RouteContext


async def show_turnaround(context: RouteContext, parameters: TurnaroundParameters) -> TurnaroundFigures:
    """Median and 90th percentile from order to examination and from there to the EHR, by modality, station and day."""
    return await figures_of(
        context.store, parameters.first, parameters.last, now=context.clock(), zone=context.zone
    )  # fmt: skip


ROUTES: Final = (Route("GET", "/api/turnaround", show_turnaround, TurnaroundFigures, TurnaroundParameters),)
