"""The page of what arrived unreadable: who sent it, why it was refused, and what is kept of it."""

from __future__ import annotations

from functools import partial
from typing import Final

from aiohttp import web

from gateway.errors import UnknownKey
from gateway.observe.quoting import printable
from gateway.store import refusals
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import RowParameters
from gateway.web.routes import Route, RouteContext

SHOWN_BYTES: Final = 8 * 1024


class RefusalPageParameters(PageParameters, RowParameters):
    pass


async def show_refusal(context: RouteContext, parameters: RefusalPageParameters) -> web.Response:
    """What arrived and could not be read at all, with the beginning of its bytes."""
    row = await context.store.read(partial(refusals.get, refusal=parameters.id))
    if row is None:
        raise UnknownKey(f"there is no refusal {parameters.id}; a thousand are kept", place="id")
    return page(
        context, "refusal.html", parameters, title=f"Refusal r{parameters.id}", current="/messages", row=row,
        lines=_lines(row["body"][:SHOWN_BYTES]), kept=len(row["body"]), shown=min(len(row["body"]), SHOWN_BYTES),
        here=f"/refusals/{parameters.id}",
    )  # fmt: skip


def _lines(raw: bytes) -> list[str]:
    """Bytes as lines for people: what is not printable is escaped."""
    text = raw.decode("utf-8", "backslashreplace").replace("\r\n", "\n").replace("\r", "\n")
    return [printable(line) for line in text.split("\n")]


ROUTES: Final = (
    Route("GET", "/refusals/{id}", show_refusal, "text/html", RefusalPageParameters, (404,), shows_texts=True),
)
