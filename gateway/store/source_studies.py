"""Studies that sources list: which of them are to be read, and what was stated of each when it was read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, text

from gateway.records.completeness import Evidence, EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy
from gateway.records.work import STUCK, Lane, WorkState, studies_at
from gateway.store import outbox, settling
from gateway.store.engine import lock
from gateway.store.schema import instances, series, studies
from gateway.store.schema import source_studies as table
from gateway.store.statement import Statement

_READ: Final = select(table.c.digest, table.c.state, table.c.read_at).where(
    table.c.source == bindparam("the_source"), table.c.digest.in_(bindparam("digests", expanding=True))
)
_HELD: Final = (
    select(studies.c.study_uid, func.count())
    .join(series, series.c.study == studies.c.id)
    .join(instances, instances.c.series == series.c.id)
    .where(studies.c.study_uid.in_(bindparam("uids", expanding=True)))
    .group_by(studies.c.study_uid)
)
_REMEMBER: Final = Statement(
    text(
        "INSERT INTO source_studies (source, digest, state, read_at) VALUES (:source, :digest, :state, :read_at) "
        "ON CONFLICT (source, digest) DO UPDATE SET state = excluded.state, read_at = excluded.read_at"
    )
)


@dataclass(frozen=True, slots=True)
class _Read:
    state: str
    read_at: int


def want(connection: Connection, source: str, listed: Sequence[ListedStudy], *, now: int, again_before: int) -> int:
    """Let those of `listed` be read that are new or changed; returns how many.

    A study of which the source states what it stated when the study was read costs a comparison, as one of which all
    instances are here. Of one of which the source states nothing: read again if it was read before `again_before`.
    The number of instances that a source states is evidence of how much the study holds.
    """
    read = _read(connection, source, [one.study_uid for one in listed])
    open_ = [one for one in listed if not _is_read(one, read.get(one.study_uid), again_before)]
    held = _held(connection, open_)
    wanted = 0
    for one in open_:
        if one.instances is not None:
            counted = Evidence(EvidenceKind.ARCHIVE_COUNTS, source, now, instances=one.instances)
            settling.state(connection, one.study_uid, counted)
        before = read.get(one.study_uid)
        is_corrected = before is not None and not before.state.endswith(one.identity)
        if one.instances is not None and held.get(one.study_uid) == one.instances and not is_corrected:
            remember(connection, source, one, now=now)
        else:
            wanted += _enqueue(connection, source, one, now)
    return wanted


def read_again(connection: Connection, source: str, study: ListedStudy, *, now: int) -> None:
    """Let a study be read whatever was read of it before."""
    _enqueue(connection, source, study, now)


def remember(connection: Connection, source: str, study: ListedStudy, *, now: int) -> None:
    """A study was read as the source states it in `study`."""
    digest = _digest(study.study_uid)
    _REMEMBER.run(connection, {"source": source, "digest": digest, "state": study.state, "read_at": now})


def were_read(connection: Connection, source: str, study_uids: Collection[StudyInstanceUID]) -> set[StudyInstanceUID]:
    """Those of these studies that the source was read for, or of which all was here when it listed them."""
    return set(_read(connection, source, study_uids))


def _read(
    connection: Connection, source: str, study_uids: Collection[StudyInstanceUID]
) -> Mapping[StudyInstanceUID, _Read]:
    uids = {_digest(uid): uid for uid in study_uids}
    rows = connection.execute(_READ, {"the_source": source, "digests": list(uids)}) if uids else ()
    return {uids[bytes(row.digest)]: _Read(row.state, row.read_at) for row in rows}


def _held(connection: Connection, listed: Sequence[ListedStudy]) -> Mapping[str, int]:
    uids = [one.study_uid for one in listed if one.instances is not None]
    return {uid: int(count) for uid, count in connection.execute(_HELD, {"uids": uids})} if uids else {}


def _is_read(study: ListedStudy, read: _Read | None, again_before: int) -> bool:
    if read is None:
        return False
    return read.state == study.state if study.state else read.read_at >= again_before


def _enqueue(connection: Connection, source: str, study: ListedStudy, now: int) -> bool:
    """False: it is to be read already, or a person is asked about just this."""
    lane = Lane(studies_at(source), study.study_uid)
    payload = {"state": study.state, "instances": study.instances, "key": study.key}
    lock(connection, str(lane))
    last = outbox.latest(connection, lane)
    if last is not None:
        state, is_same = WorkState(last["state"]), last["payload"] == payload
        if state is WorkState.PENDING or (is_same and state in (*STUCK, WorkState.GIVEN_UP, WorkState.LEASED)):
            return False
    outbox.enqueue(connection, lane=lane, payload=payload, due_at=now, now=now, supersede=True)
    return True


def _digest(study_uid: StudyInstanceUID) -> bytes:
    return hashlib.sha256(study_uid.encode()).digest()
