"""The page Figures: how long examinations take from order to examination and from there to the EHR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from markupsafe import Markup

from gateway.operations.answers.turnaround import Spread, Turnaround
from gateway.operations.turnaround import figures_of
from gateway.store.turnaround import MOST
from gateway.web.console.chart import Pair, pairs
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page, span
from gateway.web.requests import TurnaroundParameters
from gateway.web.routes import Route, RouteContext

CHARTED: Final = 14
"""Groups of a chart; a table beside it has them all."""
LISTED: Final = 100
"""Rows of a table."""


class FiguresParameters(PageParameters, TurnaroundParameters):
    pass


async def show_figures(context: RouteContext, parameters: FiguresParameters) -> web.Response:
    """Turn-around times of some days, by modality, station and day."""
    answer = await figures_of(
        context.store, parameters.first, parameters.last, now=context.clock(), zone=context.zone
    )  # fmt: skip
    tables = (
        ("By modality", "modality", answer.by_modality), ("By station", "station", answer.by_station),
        ("By day", "day", answer.by_day),
    )  # fmt: skip
    sections = [(heading, noun, rows[-LISTED:], _charts(heading, rows)) for heading, noun, rows in tables]
    return page(
        context, "figures.html", parameters, title="Figures", current="/figures", answer=answer, sections=sections,
        most=MOST, length=length,
    )  # fmt: skip


def length(seconds: float | None) -> str:
    """A length of time for people; a dash for none."""
    return "–" if seconds is None else span(round(seconds * 1_000_000))


_WAYS: Final[Sequence[tuple[str, Callable[[Turnaround], Spread]]]] = (
    ("order to examination", lambda one: one.order_to_exam),
    ("examination to EHR", lambda one: one.exam_to_ehr),
)


def _charts(heading: str, rows: Sequence[Turnaround]) -> list[Markup]:
    charts = []
    for way, spread_of in _WAYS:
        shown = [
            Pair(row.name or "?", spread.median_seconds, spread.p90_seconds or 0.0, f"{length(spread.median_seconds)}, "
                 f"nine of ten within {length(spread.p90_seconds)}")
            for row in rows[-CHARTED:]
            if (spread := spread_of(row)).median_seconds is not None
        ]  # fmt: skip
        if shown:
            highest = length(max(one.high for one in shown))
            charts.append(pairs(f"{heading}: {way}", shown, highest=highest))
    return charts


ROUTES: Final = (Route("GET", "/figures", show_figures, "text/html", FiguresParameters),)
