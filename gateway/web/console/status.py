"""What the night operator's page shows: the components, and the work and the messages that wait or failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from gateway.errors import Unavailable
from gateway.operations.answers.answer import iso
from gateway.operations.state.components import Component, examine
from gateway.records.work import STUCK
from gateway.store import messages, outbox_listing, refusals, silent_steps
from gateway.web.routes import RouteContext

SHOWN: Final = 20
LASTING_TRIES: Final = 5
"""After so many tries, half a minute with the pauses of the defaults, work that is tried again needs a look."""
FRESH_SECONDS: Final = 7 * 24 * 3600
"""How long a message that was not applied calls for somebody: not every one can be mended, and none is deleted."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Rows of the store, at most `SHOWN` of each list, newest first."""

    counts: list[tuple[str, str, int]]
    causes: list[outbox_listing.Stuck]
    parked: list[dict[str, Any]]
    retrying: list[dict[str, Any]]
    wrong_messages: list[dict[str, Any]]
    fresh_wrong: int
    """Messages that were not applied, of the last `FRESH_SECONDS`; those of a type that is not served do not count."""
    unserved: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    silent: list[dict[str, Any]]
    """Examinations without a sign of life."""


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The state of the gateway at one moment."""

    at: str
    version: str
    components: dict[str, Component]
    lists: Lists | None
    """None when the database does not answer."""


async def status_of(context: RouteContext) -> GatewayStatus:
    """Examine all components and read the lists, if the database answers."""
    components = await examine(context.store, context.components)
    lists = None
    if components["database"].ok:
        try:
            since = context.clock() - FRESH_SECONDS * 1_000_000
            lists = await context.store.read(lambda connection: _lists(connection, since))
        except Unavailable:
            pass
    return GatewayStatus(iso(context.clock()), context.version, components, lists)


def _lists(connection: Connection, since: int) -> Lists:
    return Lists(
        counts=sorted(outbox_listing.counts(connection)),
        causes=outbox_listing.stuck(connection)[:SHOWN],
        parked=outbox_listing.listing(connection, states=STUCK, limit=SHOWN),
        retrying=outbox_listing.retrying(connection, limit=SHOWN),
        wrong_messages=messages.wrong(connection, limit=SHOWN),
        fresh_wrong=messages.count_wrong(connection, since=since),
        unserved=messages.unserved(connection),
        refused=refusals.listing(connection, limit=SHOWN, put_away=False),
        silent=silent_steps.listing(connection, limit=SHOWN),
    )


def reasons_to_look(status: GatewayStatus) -> list[str]:
    """What calls for a person, one text each; empty when nothing does. Nothing of a database that does not answer."""
    reasons = [f"{name} is not well" for name, component in status.components.items() if not component.ok]
    if status.lists is None:
        return reasons
    lasting = sum(row["attempts"] >= LASTING_TRIES for row in status.lists.retrying)
    counted = (
        ("work is parked or rejected", len(status.lists.parked)),
        (f"work was tried {LASTING_TRIES} times or more", lasting),
        ("messages of the last 7 days were not applied", status.lists.fresh_wrong),
        ("examinations give no sign of life", sum(not row["end_event"] for row in status.lists.silent)),
    )
    return reasons + [f"{text}: {number}{'+' if number == SHOWN else ''}" for text, number in counted if number]
