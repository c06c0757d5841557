"""The night operator's page: plain HTML without script, shown anew by the browser every few seconds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection

from gateway.errors import Unavailable
from gateway.operations.answers.answer import iso
from gateway.operations.journey_of import why
from gateway.operations.parked import unserved_text
from gateway.records.delivery import WorkState
from gateway.store import messages, outbox_listing, refusals
from gateway.web.api.health import Component, examine
from gateway.web.api.routes import Context

SHOWN: Final = 20
LASTING_TRIES: Final = 5
"""After so many tries, half a minute with the pauses of the defaults, work that is tried again needs a look."""
FRESH_SECONDS: Final = 7 * 24 * 3600
"""How long a message that was not applied calls for somebody: not every one can be mended, and none is deleted."""
REFRESH_SECONDS: Final = 10
STYLE: Final = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%;margin:.5em 0 2em}"
    "th,td{text-align:left;padding:.35em .7em;border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}"
    "h1{font-size:1.5em}h2{font-size:1.1em;margin-bottom:0}.bad{color:#a40000;font-weight:600}.good{color:#0a5c0a}"
    "form{display:inline}"
)
STYLE_HASH: Final = f"sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}"
LINKS: Final = (
    "/api/worklist",
    "/api/orders",
    "/api/messages",
    "/api/deliveries?state=parked",
    "/api/causes",
    "/api/refusals",
    "/health/ready",
    "/metrics",
    "/api/openapi.json",
)


class Markup(str):
    """Text that is HTML already; everything else is escaped when it is put into the page."""


@dataclass(frozen=True, slots=True)
class Lists:
    counts: list[tuple[str, str, int]]
    causes: list[outbox_listing.Stuck]
    parked: list[dict[str, Any]]
    retrying: list[dict[str, Any]]
    wrong_messages: list[dict[str, Any]]
    fresh_wrong: int
    """Messages that were not applied, of the last `FRESH_SECONDS`; those of a type that is not served do not count."""
    unserved: list[dict[str, Any]]
    refused: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Overview:
    at: str
    version: str
    components: dict[str, Component]
    lists: Lists | None
    """None when the database does not answer."""


async def overview(context: Context) -> Overview:
    components = await examine(context.store, context.components)
    lists = None
    if components["database"].ok:
        try:
            since = context.clock() - FRESH_SECONDS * 1_000_000
            lists = await context.store.read(lambda connection: _lists(connection, since))
        except Unavailable:
            pass
    return Overview(iso(context.clock()), context.version, components, lists)


def _lists(connection: Connection, since: int) -> Lists:
    stuck = (WorkState.PARKED.value, WorkState.REJECTED.value)
    return Lists(
        counts=sorted(outbox_listing.counts(connection)),
        causes=outbox_listing.stuck(connection)[:SHOWN],
        parked=outbox_listing.listing(connection, states=stuck, limit=SHOWN),
        retrying=outbox_listing.retrying(connection, limit=SHOWN),
        wrong_messages=messages.wrong(connection, limit=SHOWN),
        fresh_wrong=messages.count_wrong(connection, since=since),
        unserved=messages.unserved(connection),
        refused=refusals.listing(connection, limit=SHOWN),
    )


def page(found: Overview) -> str:
    """The page as HTML."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Imaging gateway</title>',
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{STYLE}</style></head><body>",
        "<h1>Imaging gateway</h1>",
        f"<p>Version {escape(found.version)}, as of {escape(found.at)}. {_verdict(found)}</p>",
        _table("Components", ("component", "state", "detail"), map(_component_row, found.components.items())),
        *(_list_tables(found.lists) if found.lists else ['<p class="bad">The database does not answer.</p>']),
        f"<p>More: {' · '.join(_link(address, address) for address in LINKS)}</p>",
        "</body></html>",
    ]
    return "\n".join(parts)


def _verdict(found: Overview) -> str:
    reasons = [f"{name} is not well" for name, one in found.components.items() if not one.ok]
    if found.lists is not None:
        reasons += _stuck(found.lists)
    if found.lists is None or reasons:
        why_so = f" ({'; '.join(reasons)})" if reasons else ""
        return _mark(f"Someone should look at this.{why_so}", good=False)
    return _mark("Nothing is stuck.", good=True)


def _stuck(lists: Lists) -> list[str]:
    """What of the lists calls for a person."""
    lasting = sum(row["attempts"] >= LASTING_TRIES for row in lists.retrying)
    counted = (
        ("work is parked or rejected", len(lists.parked)),
        (f"work was tried {LASTING_TRIES} times or more", lasting),
        ("messages of the last 7 days were not applied", lists.fresh_wrong),
    )
    return [f"{text}: {number}{'+' if number == SHOWN else ''}" for text, number in counted if number]


def _list_tables(lists: Lists) -> list[str]:
    return [
        _table("Work that is not done", ("kind", "state", "rows"), lists.counts),
        *(
            [_table("Parked and rejected work by cause", ("cause", "kind", "rows", "why", ""), map(_cause_row, causes))]
            if len(causes := [one for one in lists.causes if len(one.ids) > 1])
            else []
        ),
        _table(
            "Parked and rejected work: waits for a person",
            ("id", "kind", "study", "state", "tries", "why", ""),
            map(_stuck_row, lists.parked),
        ),
        _table(
            "Being tried again: needs nobody unless it lasts",
            ("id", "kind", "study", "next try", "tries", "why", ""),
            map(_retrying_row, lists.retrying),
        ),
        _table(
            "Messages that were not applied",
            ("id", "received", "from", "type", "state", "answered", "why", ""),
            map(_message_row, lists.wrong_messages),
        ),
        *(f"<p>{escape(unserved_text(row))}</p>" for row in lists.unserved),
        _table(
            "Arrived unreadable",
            ("id", "at", "from", "why", "bytes"),
            ((row["id"], iso(row["refused_at"]), row["source"], row["reason"], row["bytes"]) for row in lists.refused),
        ),
    ]


def _component_row(item: tuple[str, Component]) -> tuple[Any, ...]:
    name, component = item
    return name, _mark("well" if component.ok else "not well", good=component.ok), component.detail


def _stuck_row(row: dict[str, Any]) -> tuple[Any, ...]:
    tried = (row["state"], row["attempts"], why(row["outcome"]))
    return row["id"], row["kind"], _study(row), *tried, _button(f"/api/deliveries/{row['id']}/retry", "Try again")


def _cause_row(one: outbox_listing.Stuck) -> tuple[Any, ...]:
    retry = _button(f"/api/causes/{one.cause.key}/retry", "Try all again")
    return one.cause.key, one.cause.kind, len(one.ids), one.cause.text, retry


def _retrying_row(row: dict[str, Any]) -> tuple[Any, ...]:
    tried = (iso(row["due_at"]), row["attempts"], why(row["outcome"]))
    return row["id"], row["kind"], _study(row), *tried, _button(f"/api/deliveries/{row['id']}/retry", "Try now")


def _message_row(row: dict[str, Any]) -> tuple[Any, ...]:
    words = "; ".join(f"{one['place']}: {one['text']}" if one["place"] else one["text"] for one in row["findings"])
    source = f"{row['listener']} {row['peer']}"
    return (
        _link(f"/api/messages/{row['id']}", str(row["id"])), iso(row["received_at"]), source, row["type"],
        row["state"], row["ack_code"], words, _button(f"/api/messages/{row['id']}/replay", "Work on it again"),
    )  # fmt: skip


def _study(row: dict[str, Any]) -> Markup:
    return _link(f"/api/studies/{quote(row['subject'], safe='')}", row["subject"])


def _table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows]
    heading = f"<h2>{escape(caption)}</h2>"
    if not lines:
        return f"{heading}<p>None.</p>"
    head = "".join(f"<th>{escape(one)}</th>" for one in headings)
    return "\n".join([heading, f"<table><tr>{head}</tr>", *lines, "</table>"])


def _cell(value: Any) -> str:
    return value if isinstance(value, Markup) else escape(str(value))


def _mark(text: str, *, good: bool) -> Markup:
    return Markup(f'<span class="{"good" if good else "bad"}">{escape(text)}</span>')


def _link(address: str, text: str) -> Markup:
    return Markup(f'<a href="{escape(address)}">{escape(text)}</a>')


def _button(address: str, text: str) -> Markup:
    return Markup(f'<form method="post" action="{escape(address)}"><button>{escape(text)}</button></form>')
