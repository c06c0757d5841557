"""The outbox: work that waits, in lanes.

A row belongs to a lane, a lane to one subject. Within a lane rows are worked off one at a time, in the order of their
ids; a later row waits while an earlier one is pending or leased. Lanes never wait for one another. Retries are columns
(`attempts`, `due_at`), not sleeping tasks, so a restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Text, bindparam, case, exists, func, insert, select, type_coerce, update

from gateway.records.delivery import Delivery
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.records.work import TRANSITIONS, Activity, Lane, Part, WorkEvent, WorkKind, WorkState
from gateway.store import heartbeats
from gateway.store.engine import lock
from gateway.store.foreseen import Read
from gateway.store.outbox_claims import is_active
from gateway.store.schema import outbox
from gateway.store.statement import Statement
from gateway.store.writer import announce

NEVER: Final = 2**60
"""Microseconds; some 36,000 years."""
PAGE: Final = 200
"""Rows that are added or made due in one transaction: others must not wait long for the writer."""


def enqueue(
    connection: Connection,
    *,
    lane: Lane,
    payload: dict[str, Any],
    due_at: int,
    now: int,
    supersede: bool = False,
) -> WorkRow:
    """Add work to the end of `lane` and return its id.

    `supersede`: rows of the lane that wait or are parked step back for this row, which holds all that they hold and
    more. A row under way is left alone; this one follows it. A waiting row that was tried before may have reached its
    receiver: this one is then no first try either, and waits as long as that one would have.

    `due_at` and `now` are of the wall clock. What counts is how far they are apart: the row waits as long, whatever
    happens to that clock.
    """
    lock(connection, str(lane))
    due_at, since = heartbeats.steady_of(connection, due_at, now=now), heartbeats.steady_of(connection, now, now=now)
    attempts = 0
    if supersede:
        replaced = connection.execute(_SUPERSEDE, {**_key(lane), "now": now}).all()
        tried = [one for one in replaced if one.attempts and one.finished_at == now]
        attempts = max((one.attempts for one in tried), default=0)
        due_at = max([due_at, *(one.due_at for one in tried)])
    row = {
        "kind": str(lane.kind), "lane": str(lane), "subject": lane.subject, "payload": payload,
        "state": WorkState.PENDING.value, "due_at": due_at, "attempts": attempts, "lease": "", "lease_until": 0,
        "created_at": now, "waits_since": since,
    }  # fmt: skip
    key = connection.execute(insert(outbox), row).inserted_primary_key
    assert key is not None
    announce(connection, lane.kind)
    return WorkRow(key[0])


def postpone(
    connection: Connection,
    lane: Lane,
    *,
    due_at: int,
    now: int,
    longest: int = NEVER,
    payload: dict[str, Any] | None = None,
) -> None:
    """Let the waiting row of `lane` fall due at `due_at`; add the row if none waits.

    `longest`: microseconds after which the row falls due in any case, counted from when it was added. `payload`: what
    the row holds from now on; None: as before, and nothing in a new row.

    What was parked in the lane steps back for the new row, which looks at the same thing again.
    """
    lock(connection, str(lane))
    steady = heartbeats.steady_of(connection, due_at, now=now)
    statement = _POSTPONE if payload is None else _POSTPONE_WITH
    values = {"the_lane": str(lane), "the_due": steady, "longest": longest, "the_payload": payload}
    if waiting := is_waiting(connection, lane):
        statement.change_later(connection, values, row="the_lane")
    if waiting is False or not (waiting or statement.run(connection, values)):
        enqueue(connection, lane=lane, payload=payload or {}, due_at=due_at, now=now, supersede=True)
    elif due_at <= now:
        announce(connection, lane.kind)


def read_of(lane: Lane) -> Read:
    """What `is_waiting` reads."""
    return _WAITING, {"the_lane": str(lane)}


def is_waiting(connection: Connection, lane: Lane) -> bool | None:
    """Whether a row of `lane` waits, if that was read beforehand; None: it was not."""
    rows = _WAITING.known(connection, {"the_lane": str(lane)})
    return None if rows is None else bool(rows)


def waits(connection: Connection, lane: Lane) -> bool:
    """Whether a row of `lane` waits; who adds others to the lane, or would claim the row, waits for this transaction or
    passes it over: else a worker could read what the row is about before it is committed."""
    lock(connection, str(lane))
    return _WAITING.first(connection, {"the_lane": str(lane)}) is not None


def move_lane(connection: Connection, old: Lane, new: Lane) -> None:
    """Put what waits or is under way in a lane into another, before what is added there later."""
    lock(connection, *sorted((str(old), str(new))))
    connection.execute(_MOVE_LANE, {"the_lane": str(old), "the_new": str(new), "the_subject": new.subject})


def latest(connection: Connection, lane: Lane) -> dict[str, Any] | None:
    """State and payload of the newest row of `lane`, None when it has none."""
    row = connection.execute(_LATEST, _key(lane)).mappings().first()
    return dict(row) if row else None


def last_sent(connection: Connection, lane: Lane) -> dict[str, Any] | None:
    """The resource of the newest delivery of `lane` that is done, None when none is."""
    payload = connection.execute(_PAYLOAD_OF_ROW, {"the_id": newest_done(connection, lane)}).scalar()
    return payload.get("resource") if payload else None


def payload_of(connection: Connection, kind: WorkKind, row: int) -> dict[str, Any] | None:
    """The payload of a row of `kind`, None where there is no such row of it."""
    return connection.execute(_PAYLOAD, {"the_kind": str(kind), "the_id": row}).scalar()


def newest_done(connection: Connection, lane: Lane) -> int:
    """The id of the newest row of `lane` that is done; 0: there is none."""
    return connection.execute(_NEWEST_DONE, _key(lane)).scalar() or 0


def deliver(connection: Connection, lane: Lane, delivery: Delivery, *, now: int) -> None:
    """Add a delivery in place of those that wait in `lane`, unless the last one there has the same digest."""
    last = connection.execute(_LAST_WRITTEN, _key(lane)).first()
    if last is not None and last.state != WorkState.SUPERSEDED and _has_digest(last.written, delivery.digest):
        return
    enqueue(connection, lane=lane, payload=delivery.as_payload(), due_at=now, now=now, supersede=True)


def _has_digest(written: str, digest: str) -> bool:
    """Whether this is of a payload, which may list thousands of instances and is not read for that. No text in a
    resource looks like it: its quotes are escaped."""
    return f'"digest":"{digest}"' in written


REPEATED: Final = (WorkState.DONE, WorkState.LEASED)
"""States of a delivery that is sent once more: what waits is sent anyway, the others need a person, or had one."""


def repeat(
    connection: Connection,
    lane: Lane,
    *,
    now: int,
    due_at: int | None = None,
    states: Collection[WorkState] = REPEATED,
) -> bool:
    """Add the newest delivery of `lane` once more, due now or at `due_at`.

    False, and nothing added, where there is none, or where it is in none of `states`.
    """
    last = latest(connection, lane)
    if last is None or WorkState(last["state"]) not in states:
        return False
    due_at = now if due_at is None else due_at
    enqueue(connection, lane=lane, payload=last["payload"], due_at=due_at, now=now, supersede=True)
    return True


def repeat_study(connection: Connection, study_uid: StudyInstanceUID, *, now: int) -> int:
    """Add the newest delivery of each lane of a study once more, one that was given up as well; returns how many were
    added."""
    lanes = map(Lane.of, connection.execute(_LANES_OF, {"the_subject": study_uid}).scalars())
    states = (*REPEATED, WorkState.GIVEN_UP)
    return sum(
        repeat(connection, lane, now=now, states=states) for lane in lanes if lane.kind.activity is Activity.DELIVER
    )


def receivers_of(connection: Connection, study_uid: StudyInstanceUID) -> set[str]:
    """Names of the EHRs to which the study itself, not only its order, was delivered."""
    delivered = map(Lane.of, connection.execute(_DELIVERED, {"the_subject": study_uid}).scalars())
    return {
        lane.kind.target for lane in delivered if lane.kind.activity is Activity.DELIVER and lane.part is Part.STUDY
    }


def last_row(connection: Connection) -> WorkRow:
    """The id of the newest row; 0: there is none."""
    return WorkRow(connection.execute(select(func.max(outbox.c.id))).scalar() or 0)


def lanes_since(
    connection: Connection, kind: WorkKind, *, first: int, last: WorkRow, after: int, limit: int
) -> list[tuple[int, Lane]]:
    """The newest row up to the row `last`, and its lane, of each lane of `kind` where that row was added at `first`
    (microseconds) or later.

    By the ids of those rows, from the one behind `after`; at most `limit`.
    """
    values = {"the_kind": str(kind), "first": first, "last": last, "after": after}
    rows = connection.execute(_LANES_SINCE.limit(limit), values)
    return [(row.id, Lane.of(row.lane)) for row in rows]


def _key(lane: Lane) -> dict[str, str]:
    return {"the_subject": lane.subject, "the_lane": str(lane)}


_LATEST = (
    select(outbox.c.id, outbox.c.state, outbox.c.payload)
    .where(outbox.c.subject == bindparam("the_subject"), outbox.c.lane == bindparam("the_lane"))
    .order_by(outbox.c.id.desc())
    .limit(1)
)
_LAST_WRITTEN = _LATEST.with_only_columns(outbox.c.state, type_coerce(outbox.c.payload, Text).label("written"))

_PAYLOAD = select(outbox.c.payload).where(outbox.c.id == bindparam("the_id"), outbox.c.kind == bindparam("the_kind"))

_PAYLOAD_OF_ROW = select(outbox.c.payload).where(outbox.c.id == bindparam("the_id"))

_NEWEST_DONE = select(func.max(outbox.c.id)).where(
    outbox.c.subject == bindparam("the_subject"),
    outbox.c.lane == bindparam("the_lane"),
    outbox.c.state == WorkState.DONE.value,
)

_LANES_OF = select(outbox.c.lane).where(outbox.c.subject == bindparam("the_subject")).distinct()

_DELIVERED = _LANES_OF.where(outbox.c.state == WorkState.DONE.value)

_later = outbox.alias("later")
_LANES_SINCE = (
    select(outbox.c.id, outbox.c.lane)
    .where(
        outbox.c.kind == bindparam("the_kind"),
        outbox.c.id > bindparam("after"),
        outbox.c.id <= bindparam("last"),
        outbox.c.created_at >= bindparam("first"),
        ~exists().where(
            _later.c.subject == outbox.c.subject, _later.c.lane == outbox.c.lane, _later.c.id > outbox.c.id,
            _later.c.id <= bindparam("last"),
        ),
    )
    .order_by(outbox.c.id)
)  # fmt: skip
"""Page by page along the ids: all pages together read each row once."""

_SUPERSEDE = (
    update(outbox)
    .where(
        outbox.c.subject == bindparam("the_subject"),
        outbox.c.lane == bindparam("the_lane"),
        outbox.c.state.in_([s.value for (s, e) in TRANSITIONS if e is WorkEvent.SUPERSEDE]),
    )
    # What was parked has its end already: that tells it, which nobody is at, from what waited for another try.
    .values(state=WorkState.SUPERSEDED.value, finished_at=func.coalesce(outbox.c.finished_at, bindparam("now")))
    .returning(outbox.c.attempts, outbox.c.due_at, outbox.c.finished_at)
)


WAITING_ROW: Final = (
    outbox.c.lane == bindparam("the_lane"), is_active(outbox), outbox.c.state == WorkState.PENDING.value,
)  # fmt: skip
"""Conditions: it is the row of `the_lane` that waits."""
_last_due = outbox.c.waits_since + bindparam("longest", type_=BigInteger)
_POSTPONED = (
    update(outbox)
    .where(*WAITING_ROW)
    .values(due_at=case((_last_due < bindparam("the_due"), _last_due), else_=bindparam("the_due")))
)
# Whether a row waits stays as it was.
_POSTPONE: Final = Statement(_POSTPONED, touches=lambda _values: ())
_POSTPONE_WITH: Final = Statement(
    _POSTPONED.values(payload=bindparam("the_payload", type_=outbox.c.payload.type)), touches=lambda _values: ()
)

_WAITING: Final = Statement(
    select(outbox.c.id).where(*WAITING_ROW).with_for_update(),
    about=lambda values, _rows: (("lane", values["the_lane"]),),
)

_MOVE_LANE = (
    update(outbox)
    .where(outbox.c.lane == bindparam("the_lane"), is_active(outbox))
    .values(lane=bindparam("the_new"), subject=bindparam("the_subject"))
)
