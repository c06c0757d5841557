"""Put away, with a note, what was not applied or arrived unreadable: a person has looked, and it calls for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.records.cause import cause_of_message, cause_of_refusal
from gateway.records.put_away import Kind, PutAway
from gateway.store import Store, message_listing, put_away


@dataclass(frozen=True, slots=True)
class OpenCause:
    """What calls for a person for one cause."""

    key: str
    kind: Kind
    text: str
    count: int
    first_at: int
    last_at: int
    newest: int
    """Id of the newest, an example."""
    type: str = ""
    """Of the newest message."""
    listener: str = ""
    """Of the newest message."""


@dataclass(frozen=True, slots=True)
class OpenCauses:
    """All that calls for a person, the most frequent cause first."""

    causes: list[OpenCause]
    more_causes: int
    messages: int
    is_whole: bool
    """Whether there are no more messages than were counted."""
    refusals: int


def open_causes(connection: Connection) -> OpenCauses:
    """Messages that were not applied and what arrived unreadable, by cause, without what was put away."""
    of_messages = message_listing.groups(connection)
    refused = list(_refused(connection))
    causes = sorted([*map(_of_messages, of_messages.causes), *refused], key=lambda one: (-one.count, one.key))
    return OpenCauses(
        causes, of_messages.more_causes, of_messages.total, of_messages.is_whole, sum(one.count for one in refused)
    )


def _of_messages(group: message_listing.CauseGroup) -> OpenCause:
    # Of several faults of a message, and of notes beside them, the one that its key was made of.
    causes = [cause_of_message(finding) for finding in group.findings]
    text = next((cause.text for cause in causes if cause.key == group.key), causes[0].text if causes else "")
    return OpenCause(
        group.key, Kind.MESSAGE, text, group.count, group.first_at, group.last_at, group.newest, group.types,
        group.listener,
    )  # fmt: skip


def _refused(connection: Connection) -> Iterator[OpenCause]:
    by_key: dict[str, list[dict[str, int]]] = {}
    texts = {}
    for row in put_away.open_refusals(connection):
        cause = cause_of_refusal(row["source"], row["reason"])
        texts[cause.key] = cause.text
        by_key.setdefault(cause.key, []).append(row)
    for key, rows in by_key.items():
        newest = rows[-1]
        yield OpenCause(
            key, Kind.REFUSAL, texts[key], len(rows), rows[0]["refused_at"], newest["refused_at"], newest["id"]
        )  # fmt: skip


async def put_cause_away(store: Store, key: str, by: PutAway) -> int:
    """Put away all that calls for a person for a cause, page by page; how many.

    Raises `UnknownKey` when nothing does.
    """
    count = await store.write(partial(_put_refusals_away, key=key, by=by))
    while number := await store.write(partial(_put_page_away, key=key, by=by)):
        count += number
    if not count:
        raise UnknownKey("nothing calls for a person for this cause", place=f"cause {key}")
    return count


def _put_refusals_away(connection: Connection, *, key: str, by: PutAway) -> int:
    rows = put_away.open_refusals(connection)
    ids = [row["id"] for row in rows if cause_of_refusal(row["source"], row["reason"]).key == key]
    return put_away.put_away(connection, Kind.REFUSAL, ids, by)


def _put_page_away(connection: Connection, *, key: str, by: PutAway) -> int:
    return put_away.put_away(connection, Kind.MESSAGE, put_away.open_of_cause(connection, key), by)
