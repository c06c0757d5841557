"""Transactions of storage commitment: what was asked, what is held of it, and what is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, case, exists, func, insert, or_, select, update

from gateway.errors import UnknownKey
from gateway.records.commitment import (
    CommitmentAsked,
    CommitmentReport,
    FailureReason,
    Failures,
    Holding,
    Reference,
)
from gateway.records.row_ids import WorkRow
from gateway.records.work import Activity, WorkState
from gateway.store.chunks import chunks
from gateway.store.engine import lock
from gateway.store.retention.rule import remove
from gateway.store.schema import commitment_instances, instances, outbox, series, storage_commitments, studies
from gateway.store.schema import pixel_files as files
from gateway.store.statement import Statement

_C: Final = storage_commitments.c
_I: Final = commitment_instances.c
_ADD: Final = Statement(insert(commitment_instances), ["commitment", "sop_class_uid", "sop_uid", "failure_reason"])


class Kept(NamedTuple):
    """A transaction as it is kept."""

    id: int
    is_waiting: bool
    """Its report is due already, or under way."""
    is_new: bool
    """The requester has not used its Transaction UID before."""


class Standing(NamedTuple):
    """A transaction that is to be reported."""

    transaction_uid: str
    calling_ae: str
    is_decided: bool


def keep(connection: Connection, asked: CommitmentAsked, *, calling_ae: str, now: int) -> Kept:
    """Keep a request. The same request again is the same transaction; other references under a Transaction UID that is
    in use are a transaction that fails."""
    uid = asked.transaction_uid
    lock(connection, f"transaction|{uid}")
    wanted = select(_C.id, _C.digest, _C.work).where(_C.transaction_uid == uid, _C.calling_ae == calling_ae)
    known = connection.execute(wanted).all()
    for row in known:
        if row.digest == asked.digest:
            return Kept(row.id, _is_reported_soon(connection, row.work), is_new=False)
    values = {
        "transaction_uid": uid, "calling_ae": calling_ae, "digest": asked.digest, "received_at": now,
        "decided_at": now if known else None,
    }  # fmt: skip
    key = connection.execute(insert(storage_commitments), values).inserted_primary_key
    assert key is not None
    reason = int(FailureReason.DUPLICATE_TRANSACTION) if known else None
    rows = [{"commitment": key[0], **one._asdict(), "failure_reason": reason} for one in asked.references]
    _ADD.run_all(connection, rows)
    return Kept(int(key[0]), is_waiting=False, is_new=not known)


def studies_of(connection: Connection, asked: CommitmentAsked) -> set[str]:
    """Study Instance UIDs under which instances of a request have come."""
    uids = [one.sop_uid for one in asked.references]
    wanted = (
        select(studies.c.study_uid)
        .join(series, series.c.study == studies.c.id)
        .join(instances, instances.c.series == series.c.id)
        .distinct()
    )
    of_parts = (wanted.where(instances.c.sop_uid.in_(part)) for part in chunks(uids))
    return {uid for of_part in of_parts for uid in connection.execute(of_part).scalars()}


def _is_reported_soon(connection: Connection, work: int) -> bool:
    row = connection.execute(select(outbox.c.state, outbox.c.payload).where(outbox.c.id == work)).first()
    return row is not None and row.state in (WorkState.PENDING, WorkState.LEASED) and not row.payload.get("fetched")


def reported_by(connection: Connection, commitment: int, work: WorkRow) -> None:
    """This row of the outbox will report the transaction."""
    connection.execute(update(storage_commitments).where(_C.id == commitment).values(work=work, reported_at=None))


def get(connection: Connection, commitment: int) -> Standing | None:
    """None: the transaction is not kept any more."""
    row = connection.execute(select(storage_commitments).where(_C.id == commitment)).first()
    return None if row is None else Standing(row.transaction_uid, row.calling_ae, row.decided_at is not None)


def references(connection: Connection, commitment: int) -> list[Reference]:
    """What a transaction names, in its order."""
    wanted = select(_I.sop_class_uid, _I.sop_uid).where(_I.commitment == commitment).order_by(_I.id)
    return [Reference(*row) for row in connection.execute(wanted)]


_of_instance: Final = (outbox.c.subject == instances.c.sop_uid, outbox.c.kind.startswith(f"{Activity.STORE}:"))
_OVER: Final = (WorkState.DONE.value, WorkState.SUPERSEDED.value, WorkState.GIVEN_UP.value)
_is_on_its_way: Final = exists().where(*_of_instance, outbox.c.state.not_in(_OVER))
# What was sent before the instance came again with other contents is another file.
_is_confirmed: Final = exists().where(
    *_of_instance, outbox.c.state == WorkState.DONE.value, outbox.c.created_at >= files.c.stored_at
)
_is_safe: Final = or_(
    files.c.removed_at.is_not(None),  # it leaves the spool when every destination has confirmed it
    and_(files.c.missing_at.is_(None), _is_on_its_way),
    _is_confirmed,
)
_HOLDINGS: Final = (
    select(instances.c.sop_uid, instances.c.sop_class_uid, case((_is_safe, 1), else_=0).label("is_safe"))
    .outerjoin(files, files.c.instance == instances.c.id)
    .where(instances.c.sop_uid.in_(bindparam("uids", expanding=True)))
)


def holdings(connection: Connection, uids: Collection[str]) -> dict[str, list[Holding]]:
    """What is held of these SOP Instance UIDs: safe is what an archive has confirmed, or what is kept until one has."""
    held: dict[str, list[Holding]] = {}
    for chunk in chunks(list(uids)):
        for row in connection.execute(_HOLDINGS, {"uids": chunk}):
            held.setdefault(row.sop_uid, []).append(Holding(row.sop_class_uid, bool(row.is_safe)))
    return held


_FAIL: Final = Statement(
    update(commitment_instances)
    .where(_I.commitment == bindparam("the_commitment"), _I.sop_class_uid == bindparam("the_class"))
    .where(_I.sop_uid == bindparam("the_uid"))
    .values(failure_reason=bindparam("reason"))
)


def decide(connection: Connection, commitment: int, failures: Failures, *, now: int) -> None:
    """Let this be what is reported, from now on; nothing where that is decided already."""
    undecided = update(storage_commitments).where(_C.id == commitment, _C.decided_at.is_(None))
    if connection.execute(undecided.values(decided_at=now)).rowcount and failures:
        rows = [
            {"the_commitment": commitment, "the_class": one.sop_class_uid, "the_uid": one.sop_uid, "reason": int(why)}
            for one, why in failures.items()
        ]
        _FAIL.run_all(connection, rows)


def report_of(connection: Connection, commitment: int) -> CommitmentReport | None:
    """What is reported of a transaction that is decided; None where nothing of it is kept."""
    wanted = (
        select(_C.transaction_uid, _I.sop_class_uid, _I.sop_uid, _I.failure_reason)
        .join(commitment_instances, _I.commitment == _C.id)
        .where(_C.id == commitment, _C.decided_at.is_not(None))
        .order_by(_I.id)
    )
    rows = connection.execute(wanted).all()
    if not rows:
        return None
    judged = [(Reference(row.sop_class_uid, row.sop_uid), row.failure_reason) for row in rows]
    committed = tuple(one for one, reason in judged if reason is None)
    failed = tuple((one, FailureReason(reason)) for one, reason in judged if reason is not None)
    return CommitmentReport(rows[0].transaction_uid, committed, failed)


def result_of(connection: Connection, *, transaction_uid: str, calling_ae: str) -> CommitmentReport | None:
    """What is reported of the transaction of a requester; None while that is not decided. Raises `UnknownKey` where the
    requester has no such transaction, or not all of it is kept any more."""
    wanted = select(_C.id, _C.digest, _C.decided_at).order_by(_C.id)
    of_requester = wanted.where(_C.transaction_uid == transaction_uid, _C.calling_ae == calling_ae)
    if (row := connection.execute(of_requester).first()) is None:
        raise UnknownKey("there is no such transaction of this requester", place="Transaction UID")
    if row.decided_at is None:
        return None
    report = report_of(connection, row.id)
    if report is None or report.asked.digest != row.digest:
        raise UnknownKey("what was decided is not kept any more", place="Transaction UID")
    return report


def mark_reported(connection: Connection, commitment: int, *, now: int) -> None:
    connection.execute(update(storage_commitments).where(_C.id == commitment).values(reported_at=now))


def delete_of(connection: Connection, tally: Counter[str], work: Sequence[int]) -> None:
    """Delete the transactions that these rows of the outbox report."""
    ids = list(connection.execute(select(_C.id).where(_C.work.in_(work))).scalars())
    remove(connection, tally, commitment_instances, _I.commitment, ids)
    remove(connection, tally, storage_commitments, _C.id, ids)


def forget(connection: Connection, tally: Counter[str], of_instances: Sequence[int]) -> None:
    """Delete what transactions say of these instances (rows), which will be deleted themselves. A transaction that is
    not reported yet fails as a whole: without them its report would let them pass for committed."""
    wanted = select(instances.c.sop_uid).where(instances.c.id.in_(of_instances))
    uids = list(connection.execute(wanted).scalars())
    naming = select(_I.commitment).where(_I.sop_uid.in_(uids)).distinct()
    transactions = list(connection.execute(naming).scalars())
    remove(connection, tally, commitment_instances, _I.sop_uid, uids)
    waiting = select(_C.id).where(_C.id.in_(transactions), _C.reported_at.is_(None))
    failed = update(commitment_instances).where(_I.commitment.in_(waiting))
    connection.execute(failed.values(failure_reason=int(FailureReason.PROCESSING_FAILURE)))
    for row in transactions:
        # The same request later is another: of this one not all is known any more.
        values = {"digest": f"{row}".encode(), "decided_at": func.coalesce(_C.decided_at, _C.received_at)}
        connection.execute(update(storage_commitments).where(_C.id == row).values(values))
