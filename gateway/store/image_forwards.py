"""How instances stand at destinations, by the newest work of each; which files nobody needs any more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Text, bindparam, cast, exists, func, select

from gateway.records.image_forwarding import STANDING_OF, ImagesAt, ImageStanding
from gateway.records.work import Activity, WorkKind, WorkState
from gateway.store import archive_commitments, pixel_files
from gateway.store.retention.rule import UNFINISHED, remove
from gateway.store.schema import instances, outbox, series, studies, work_tries
from gateway.store.schema import pixel_files as files

_PREFIX: Final = f"{Activity.STORE}:"


def _is_forward() -> ColumnElement[bool]:
    return outbox.c.kind.startswith(_PREFIX)


_NEWEST: Final = (
    select(func.max(outbox.c.id))
    .select_from(series)
    .join(instances, instances.c.series == series.c.id)
    .join(outbox, outbox.c.subject == instances.c.sop_uid)
    .where(series.c.study == bindparam("the_study"), _is_forward())
    .group_by(outbox.c.lane)
)
_STANDINGS: Final = (
    select(outbox.c.kind, outbox.c.state, func.count().label("number"), func.max(outbox.c.finished_at).label("last_at"))
    .where(outbox.c.id.in_(_NEWEST))
    .group_by(outbox.c.kind, outbox.c.state)
    .order_by(outbox.c.kind)
)
_OUTCOME: Final = cast(outbox.c.outcome, Text)
# A few outcomes for many instances: those with the same corrections have the same.
_CORRECTED: Final = (
    select(outbox.c.kind, _OUTCOME.label("outcome"), func.count().label("number"))
    .where(outbox.c.id.in_(_NEWEST), outbox.c.state == WorkState.DONE.value, _OUTCOME.contains('"corrected":'))
    .group_by(outbox.c.kind, _OUTCOME)
)
_HAS_FILES: Final = select(files.c.id).limit(1)


def standings(connection: Connection, study: int) -> list[ImagesAt]:
    """How the instances of a row of `studies` stand at each destination that gets any, by their names."""
    if connection.execute(_HAS_FILES).first() is None:
        return []
    numbers: dict[str, Counter[ImageStanding]] = {}
    last: dict[str, list[int]] = {}
    for row in connection.execute(_STANDINGS, {"the_study": study}):
        name, standing = WorkKind.of(row.kind).target, STANDING_OF.get(WorkState(row.state))
        if standing is not None:
            numbers.setdefault(name, Counter())[standing] += row.number
            last.setdefault(name, []).extend([row.last_at] if row.last_at is not None else [])
    corrected = _corrected(connection, study) if numbers else {}
    return [
        ImagesAt(name, counted, max(last[name], default=None), corrected.get(name, {}))
        for name, counted in numbers.items()
    ]


def _corrected(connection: Connection, study: int) -> dict[str, Counter[str]]:
    """Destination -> keyword -> how many instances of the study went there with another value than they came."""
    found: dict[str, Counter[str]] = {}
    for row in connection.execute(_CORRECTED, {"the_study": study}):
        of_name = found.setdefault(WorkKind.of(row.kind).target, Counter())
        for keyword in json.loads(row.outcome)["corrected"]:
            of_name[keyword] += row.number
    return found


def unfinished(connection: Connection, study_uids: Collection[str]) -> set[str]:
    """Those of these studies of which an instance waits for a destination, is under way or needs a person."""
    wanted = sorted({one for one in study_uids if one})
    if not wanted:
        return set()
    waits = (
        exists()
        .where(
            series.c.study == studies.c.id, instances.c.series == series.c.id,
            outbox.c.subject == instances.c.sop_uid, outbox.c.state.in_(UNFINISHED), _is_forward(),
        )
        .correlate(studies)
    )  # fmt: skip
    return set(connection.execute(select(studies.c.study_uid).where(studies.c.study_uid.in_(wanted), waits)).scalars())


def waiting(connection: Connection, study_uids: Collection[str]) -> int:
    """How many instances of these studies wait for destinations, are under way or need a person, each for each."""
    wanted = (
        select(func.count())
        .select_from(studies)
        .join(series, series.c.study == studies.c.id)
        .join(instances, instances.c.series == series.c.id)
        .join(outbox, outbox.c.subject == instances.c.sop_uid)
        .where(studies.c.study_uid.in_(list(study_uids)), outbox.c.state.in_(UNFINISHED), _is_forward())
    )
    return int(connection.execute(wanted).scalar_one())


def delete_of(connection: Connection, tally: Counter[str], of_instances: Iterable[int]) -> None:
    """Delete the work about these instances (rows), which will be deleted themselves."""
    uids = select(instances.c.sop_uid).where(instances.c.id.in_(list(of_instances)))
    ids = list(connection.execute(select(outbox.c.id).where(outbox.c.subject.in_(uids), _is_forward())).scalars())
    archive_commitments.delete_of(connection, tally, ids)
    remove(connection, tally, work_tries, work_tries.c.work, ids)
    remove(connection, tally, outbox, outbox.c.id, ids)


_KEPT: Final = select(files.c.id).where(files.c.removed_at.is_(None))
_PAGE: Final = _KEPT.where(files.c.id > bindparam("after")).order_by(files.c.id).limit(bindparam("most"))
_of_instance: Final = (outbox.c.subject == instances.c.sop_uid, _is_forward())
_ANSWERED: Final = (WorkState.DONE, WorkState.SUPERSEDED, WorkState.GIVEN_UP)
_CONFIRMED: Final = (
    select(files.c.id)
    .join(instances, instances.c.id == files.c.instance)
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
    .where(
        files.c.id.in_(bindparam("ids", expanding=True)),
        files.c.removed_at.is_(None),
        files.c.stored_at < bindparam("before"),
        # What was sent before the instance came again with other contents is another file.
        exists().where(*_of_instance, outbox.c.state == WorkState.DONE.value, outbox.c.created_at >= files.c.stored_at),
        ~exists().where(*_of_instance, outbox.c.state.not_in([one.value for one in _ANSWERED])),
        # An archive that was asked has not committed all that it has of the study.
        ~exists().where(
            outbox.c.subject == studies.c.study_uid,
            outbox.c.kind.startswith(f"{Activity.COMMIT}:"),
            outbox.c.state.in_(UNFINISHED),
        ),
    )
)


def confirmed_behind(connection: Connection, *, before: int, after: int, limit: int) -> tuple[int | None, list[int]]:
    """Of the next `limit` files behind the id `after`: the last id (None: there are no more), and the ids of those that
    were stored before `before` (microseconds) and that every destination has confirmed, but for those where a person
    gave the instance up. A file that no destination has confirmed is never among them, nor one of a study whose
    commitment an archive is asked for."""
    ids = list(connection.execute(_PAGE, {"after": after, "most": limit}).scalars())
    return ids[-1] if len(ids) == limit else None, _confirmed(connection, ids, before)


def _confirmed(connection: Connection, ids: Sequence[int], before: int) -> list[int]:
    return list(connection.execute(_CONFIRMED, {"ids": ids, "before": before}).scalars()) if ids else []


def remove_confirmed(connection: Connection, *, rows: Sequence[int], before: int, now: int) -> int:
    """Take those of these files out of the spool that are still confirmed; returns how many."""
    # Held first: an instance that comes again meanwhile waits, and one that came before is seen.
    connection.execute(_KEPT.where(files.c.id.in_(rows)).order_by(files.c.id).with_for_update())
    return pixel_files.mark_removed(connection, _confirmed(connection, rows, before), now)
