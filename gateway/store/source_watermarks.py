"""How far sources of studies were asked, and how their last polls went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, text

from gateway.records.receiver import Receiver, ReceiverType
from gateway.records.row_ids import WorkRow
from gateway.records.study_source import SourceState, Watermark
from gateway.records.work import Lane, WorkState
from gateway.store import work_tries
from gateway.store.schema import outbox
from gateway.store.schema import source_watermarks as table
from gateway.store.statement import Statement

_SAVE: Final = Statement(
    text(
        "INSERT INTO source_watermarks (source, watermark, polled_at, failed_at, error, listed, wanted, dropped) "
        "VALUES (:source, :watermark, :polled_at, :failed_at, :error, :listed, :wanted, :dropped) "
        "ON CONFLICT (source) DO UPDATE SET watermark = excluded.watermark, polled_at = excluded.polled_at, "
        "failed_at = excluded.failed_at, error = excluded.error, listed = excluded.listed, wanted = excluded.wanted, "
        "dropped = excluded.dropped"
    ).bindparams(bindparam("watermark", type_=table.c.watermark.type))
)
_EARLIER: Final = select(outbox.c.id).where(
    outbox.c.lane == bindparam("the_lane"),
    outbox.c.subject == bindparam("the_subject"),
    outbox.c.id < bindparam("before"),
    outbox.c.state.in_([WorkState.DONE.value, WorkState.SUPERSEDED.value]),
)


def get(connection: Connection, source: str) -> SourceState:
    """What is known of a source; of one that was never asked nothing."""
    return listing(connection, [source])[0]


def of_receivers(connection: Connection, receivers: Iterable[Receiver]) -> dict[str, SourceState]:
    """Name -> what is known, of those that are sources."""
    names = [one.name for one in receivers if one.type is ReceiverType.SOURCE]
    return {one.source: one for one in listing(connection, names)} if names else {}


def listing(connection: Connection, sources: Sequence[str]) -> list[SourceState]:
    """What is known of each source, in the order given."""
    rows = {row["source"]: row for row in connection.execute(select(table)).mappings()}
    return [
        SourceState(**{**rows[one], "watermark": Watermark(**rows[one]["watermark"])})
        if one in rows
        else SourceState(one)
        for one in sources
    ]


def save(connection: Connection, state: SourceState) -> None:
    """Keep what is known of a source from now on."""
    _SAVE.run(connection, asdict(state))


def forget_polls(connection: Connection, lane: Lane, before: WorkRow) -> None:
    """Delete the polls of a lane that are done: the watermark has what came of them."""
    values = {"the_lane": str(lane), "the_subject": lane.subject, "before": before}
    rows = list(connection.execute(_EARLIER, values).scalars())
    work_tries.delete_of(connection, rows)
    connection.execute(delete(outbox).where(outbox.c.id.in_(rows)))
