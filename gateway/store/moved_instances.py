"""Instances that do not count where they are kept, as they are of another study now: found, written and read.

What follows from what is kept is `gateway.records.moved_instance`. Once written, a move stays when the copy that counts
is deleted here by its age: what is not here any more says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, and_, bindparam, delete, func, insert, select, union

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.moved_instance import Copy, Former, MovedInstances, moves_among
from gateway.records.patient import Identity
from gateway.store import exclusions, patients
from gateway.store.chunks import chunks
from gateway.store.retention.studies import HAS_ITS_NAME
from gateway.store.schema import former_uids, instances, moved_instances, series, studies
from gateway.store.statement import Statement

MOST_HOPS: Final = 20
"""From copy to copy of one instance, such as by archives that each gave other UIDs. Of a study with a longer way
nothing is found: some of the copies give not what all do, and each study would undo what another has written."""
MOST_COPIES: Final = 50
"""Of one SOP Instance UID; a UID that more studies have is what a broken sender gives all of its images."""
MOST_FORMER_STUDIES: Final = 500
"""Whose orders are looked up."""


@dataclass(frozen=True, slots=True)
class Move:
    """An instance that moved."""

    row: int
    """Of `instances`."""
    study_uid: StudyInstanceUID
    """Where it is kept."""
    to_study_uid: StudyInstanceUID
    to_sop_uid: str

    @property
    def to(self) -> tuple[str, str]:
        """The UIDs of the copy that counts."""
        return self.to_study_uid, self.to_sop_uid


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be written of the copies to which those of a study belong."""

    begun: Sequence[Move] = ()
    """Moves that are not written yet, or lead to another copy than is written."""
    ended: Sequence[Move] = ()
    """Moves that are written and do not hold any more."""
    refused: Mapping[StudyInstanceUID, int] = field(default_factory=dict)
    """Study -> how many of its instances stay there, as copies in the study that is looked at name another patient."""

    taken_over: frozenset[str] = frozenset()
    """Studies whose instances are of the study that is looked at, as was found or, where nothing was, as is written."""
    has_copies: bool = True
    """Whether an instance of the study that is looked at is kept more than once, or may be, by its former UIDs."""

    def of(self, study_uid: StudyInstanceUID) -> Found:
        """What of it concerns the instances that are kept in a study."""
        begun, ended = ([one for one in moves if one.study_uid == study_uid] for moves in (self.begun, self.ended))
        return Found(begun, ended)

    @property
    def studies(self) -> list[StudyInstanceUID]:
        """Whose instances count in another way than is written."""
        return list(dict.fromkeys(one.study_uid for one in (*self.begun, *self.ended)))


NOTHING_FOUND: Final = Found()


# What is written


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> list[MovedInstances]:
    """Studies of which instances of this one are now."""
    return _counted(connection, _MOVED_FROM, study_uid)


def taken_over_by(connection: Connection, study_uid: StudyInstanceUID) -> list[MovedInstances]:
    """Studies whose instances are of this one now."""
    return _counted(connection, _MOVED_TO, study_uid)


def rows_of(connection: Connection, study_uid: StudyInstanceUID) -> frozenset[int]:
    """The rows of the instances of a study that are of another now."""
    wanted = select(moved_instances.c.instance).where(moved_instances.c.study_uid == study_uid)
    return frozenset(connection.scalars(wanted))


def former_studies(
    connection: Connection, study_uid: StudyInstanceUID, taken_over: Iterable[str] | None = None
) -> dict[str, bool]:
    """The first `MOST_FORMER_STUDIES` UIDs that a study, or instances of it, had before -> whether it has taken over
    instances of that study; False: its instances state the UID. `taken_over`: as `Found`; None: as is written."""
    stated = [uid for (uid,) in _STATED.found(connection, {"the_study": study_uid})]
    if taken_over is None:
        taken_over = [one.study_uid for one in taken_over_by(connection, study_uid)]
    former = dict.fromkeys(stated, False) | dict.fromkeys(taken_over, True)
    found = sorted((not is_taken, uid) for uid, is_taken in former.items() if uid not in ("", study_uid))
    return {uid: not is_stated for is_stated, uid in found[:MOST_FORMER_STUDIES]}


def write(connection: Connection, found: Found, *, now: int) -> None:
    """Write what was found."""
    for some in chunks([one.row for one in (*found.begun, *found.ended)]):
        connection.execute(delete(moved_instances).where(moved_instances.c.instance.in_(some)))
    rows = [
        {
            "instance": one.row, "study_uid": one.study_uid, "to_study_uid": one.to_study_uid,
            "to_sop_uid": one.to_sop_uid, "moved_at": now,
        }
        for one in found.begun
    ]  # fmt: skip
    if rows:
        connection.execute(insert(moved_instances), rows)


def keep_former(connection: Connection, instance: int, former: Iterable[Former], *, is_new: bool) -> bool:
    """Keep what an instance states of its former UIDs; whether it or what it replaces states any."""
    gone = 0
    if not is_new:
        gone = connection.execute(delete(former_uids).where(former_uids.c.instance == instance)).rowcount
    rows = [{"instance": instance, **one._asdict()} for one in former]
    if rows:
        connection.execute(insert(former_uids), rows)
    return bool(gone or rows)


def _counted(connection: Connection, wanted: Statement, study_uid: StudyInstanceUID) -> list[MovedInstances]:
    return [MovedInstances(*row) for row in wanted.found(connection, {"the_study": study_uid})]


def _by(other: Any, own: Any) -> Statement:
    return Statement(
        select(other, func.count(), func.max(moved_instances.c.moved_at))
        .where(own == bindparam("the_study"))
        .group_by(other)
        .order_by(other)
    )


_MOVED_FROM: Final = _by(moved_instances.c.to_study_uid, moved_instances.c.study_uid)
_MOVED_TO: Final = _by(moved_instances.c.study_uid, moved_instances.c.to_study_uid)
_STATED: Final = Statement(
    select(former_uids.c.study_uid)
    .join(instances, instances.c.id == former_uids.c.instance)
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
    .where(studies.c.study_uid == bindparam("the_study"))
    .distinct()
)


# What follows from what is kept


def find(connection: Connection, study_uid: StudyInstanceUID) -> Found:
    """What follows from the copies of the instances of a study, which counts as one that settles now."""
    several = {uid for (uid,) in _SEVERAL.found(connection, {"the_study": study_uid})}
    rows = _rows(connection, _alike(connection, several))
    by_row = {row.id: row for row in rows}
    written = {one.row: one for one in _written(connection, list(by_row))}
    moves = moves_among(_copies(connection, rows, study_uid))
    holding = {
        row: Move(row, by_row[row].study_uid, by_row[taker].study_uid, by_row[taker].sop_uid)
        for row, taker in moves.moved.items()
    }
    here = {(row.study_uid, row.sop_uid) for row in rows}
    refused: dict[StudyInstanceUID, set[int]] = {}
    for later, former in moves.refused:
        if later.study_uid == study_uid and former.study_uid != study_uid:
            refused.setdefault(StudyInstanceUID(former.study_uid), set()).add(former.row)
    unseen = [one for one in _written_to(connection, study_uid) if one.row not in by_row]
    void = _void(connection, study_uid, unseen)
    taken = {one.study_uid for one in holding.values() if one.to_study_uid == study_uid}
    return Found(
        [one for row, one in holding.items() if written.get(row) != one],
        [*void, *(one for row, one in written.items() if row not in holding and one.to in here)],
        {uid: len(former) for uid, former in refused.items()},
        frozenset(taken | {one.study_uid for one in unseen if one not in void}) - {study_uid},
        has_copies=bool(several),
    )


def _void(connection: Connection, study_uid: StudyInstanceUID, unseen: Sequence[Move]) -> list[Move]:
    """Which moves to a study end although nothing states them any more: the copy that counted does not count itself."""
    rows = _rows(connection, {one.to_sop_uid for one in unseen})
    own = [row for row in rows if row.study_uid == study_uid]
    counting = {one.sop_uid for one in _copies(connection, own, study_uid) if one.counts}
    gone = {row.sop_uid for row in own} - counting
    return [one for one in unseen if one.to_sop_uid in gone]


def _alike(connection: Connection, several: set[str]) -> set[str]:
    """SOP Instance UIDs of instances that are kept more than once or state former UIDs, and of all that may be the same
    instances; none where these are more than `MOST_HOPS` away."""
    known: set[str] = set()
    new = several
    for _ in range(MOST_HOPS + 1):
        known |= new
        found: set[str] = set()
        for some in chunks(sorted(new)):
            for wanted in (_STATING, _STATED_BY):
                found.update(connection.execute(wanted, {"uids": some}).scalars())
        new = found - known - {""}
        if not new:
            return known
    return set()


def _rows(connection: Connection, sop_uids: Collection[str]) -> list[Any]:
    rows = [row for some in chunks(sorted(sop_uids)) for row in connection.execute(_COPIES, {"uids": some})]
    copies = Counter(row.sop_uid for row in rows)
    return [row for row in rows if copies[row.sop_uid] <= MOST_COPIES]


def _written(connection: Connection, rows: Sequence[int]) -> Iterator[Move]:
    for some in chunks(rows):
        for row in connection.execute(_MOVES.where(moved_instances.c.instance.in_(some))):
            yield Move(*row)


def _written_to(connection: Connection, study_uid: StudyInstanceUID) -> list[Move]:
    return [Move(*row) for row in _MOVES_TO.found(connection, {"the_study": study_uid})]


def _copies(connection: Connection, rows: Sequence[Any], study_uid: StudyInstanceUID) -> Iterator[Copy]:
    excluded = {uid: exclusions.excluded(connection, uid) for uid in {row.study_uid for row in rows}}
    former: dict[int, list[Former]] = {}
    columns = (former_uids.c.instance, former_uids.c.study_uid, former_uids.c.series_uid, former_uids.c.sop_uid)
    for some in chunks([row.id for row in rows]):
        wanted = select(*columns).where(former_uids.c.instance.in_(some)).order_by(former_uids.c.id)
        for instance, *uids in connection.execute(wanted):
            former.setdefault(instance, []).append(Former(*uids))
    today: dict[Identity, Identity] = {}
    for row in rows:
        stated = Identity(
            str(row.attributes.get("PatientID") or ""), str(row.attributes.get("IssuerOfPatientID") or "")
        )
        if stated not in today:
            today[stated] = patients.identity_today(connection, stated)
        has_settled = row.settled_at is not None or row.study_uid == study_uid
        counts = has_settled and row.withdrawn_at is None
        yield Copy(
            row.id, row.study_uid, row.series_uid, row.sop_uid, today[stated], row.received_at,
            tuple(former.get(row.id, ())),
            counts=counts and (row.series_uid, row.sop_uid) not in excluded[row.study_uid],
        )  # fmt: skip


_MOVES: Final = select(
    moved_instances.c.instance, moved_instances.c.study_uid, moved_instances.c.to_study_uid,
    moved_instances.c.to_sop_uid,
)  # fmt: skip
_MOVES_TO: Final = Statement(_MOVES.where(moved_instances.c.to_study_uid == bindparam("the_study")))
_twin = instances.alias("twin")
_OF_STUDY: Final = (
    select(instances.c.sop_uid)
    .select_from(studies)
    .join(series, series.c.study == studies.c.id)
    .join(instances, instances.c.series == series.c.id)
    .where(studies.c.study_uid == bindparam("the_study"))
)
_SEVERAL: Final = Statement(
    union(
        _OF_STUDY.join(_twin, and_(_twin.c.sop_uid == instances.c.sop_uid, _twin.c.id != instances.c.id)),
        _OF_STUDY.join(former_uids, former_uids.c.instance == instances.c.id),
        _OF_STUDY.join(former_uids, former_uids.c.sop_uid == instances.c.sop_uid),
    )
)
_is_named: Final[BindParameter[str]] = bindparam("uids", expanding=True)
_STATING: Final = (
    select(instances.c.sop_uid)
    .join(former_uids, former_uids.c.instance == instances.c.id)
    .where(former_uids.c.sop_uid.in_(_is_named))
)
_STATED_BY: Final = (
    select(former_uids.c.sop_uid)
    .join(instances, instances.c.id == former_uids.c.instance)
    .where(instances.c.sop_uid.in_(_is_named))
)
_COPIES: Final = (
    select(
        instances.c.id, instances.c.sop_uid, instances.c.attributes, instances.c.received_at, series.c.series_uid,
        studies.c.study_uid, studies.c.settled_at, studies.c.withdrawn_at,
    )
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
    .where(instances.c.sop_uid.in_(_is_named), HAS_ITS_NAME)
)  # fmt: skip
