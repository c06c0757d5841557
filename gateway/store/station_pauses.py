"""How long stations pause between two instances of a study."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from gateway.records.identifiers import StudyInstanceUID
from gateway.store.schema import instances, series, studies

_before: Final = func.lag(instances.c.received_at).over(order_by=instances.c.received_at)
_received: Final = (
    select((instances.c.received_at - _before).label("pause"))
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
    .where(studies.c.study_uid == bindparam("the_study"))
    .subquery()
)
_LONGEST_PAUSE: Final = select(func.max(_received.c.pause)).where(_received.c.pause <= bindparam("the_most"))
_PAUSES: Final = (
    select(studies.c.source_ae, studies.c.longest_pause)
    .where(studies.c.longest_pause.is_not(None))
    .order_by(studies.c.id.desc())
    .limit(5_000)
)


def longest_pause(connection: Connection, study_uid: StudyInstanceUID, *, most: int) -> int | None:
    """The longest pause between two instances of a study as they arrived, of those up to `most`, in microseconds: what
    comes later is no part of the same sending. None: there is none."""
    values = {"the_study": study_uid, "the_most": most}
    return connection.execute(_LONGEST_PAUSE, values).scalar()


def pauses_by_station(connection: Connection) -> dict[str, list[int]]:
    """The longest pauses of the newest studies, by who sent them."""
    pauses: dict[str, list[int]] = {}
    for station, pause in connection.execute(_PAUSES):
        pauses.setdefault(station, []).append(pause)
    return pauses
