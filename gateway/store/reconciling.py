"""What is compared with archives and EHRs: the studies of a day, what EHRs were sent of them, and repairs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select

from gateway.records.delivery import Delivery, identifier_of_study
from gateway.records.digest import digest_of
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import OrderStanding
from gateway.records.reconciliation import ERROR, Difference, HeldStudy, Repair, Sent
from gateway.records.study_source import ListedStudy
from gateway.records.work import SETTLE, Lane, WorkState, delivery_to
from gateway.store import deleted_studies, outbox, settling, source_studies
from gateway.store.engine import lock
from gateway.store.schema import ehr_resources, instances, moved_instances, series, studies
from gateway.store.study_keys import lock_of

_COLUMNS: Final = (
    studies.c.study_uid,
    (func.count(instances.c.id) - func.count(moved_instances.c.instance)).label("instances"),
    func.count(moved_instances.c.instance).label("moved"),
    studies.c.settled_at,
    studies.c.order_standing,
)
_HELD: Final = (
    select(*_COLUMNS)
    .outerjoin(series, series.c.study == studies.c.id)
    .outerjoin(instances, instances.c.series == series.c.id)
    .outerjoin(moved_instances, moved_instances.c.instance == instances.c.id)
    .group_by(studies.c.id)
)
_OF_DAY: Final = _HELD.where(studies.c.study_date == bindparam("the_day"))
_NAMED: Final = _HELD.where(studies.c.study_uid.in_(bindparam("uids", expanding=True)))


def of_day(connection: Connection, day: date) -> dict[StudyInstanceUID, HeldStudy]:
    """The studies with this Study Date."""
    return _held(connection, _OF_DAY, {"the_day": f"{day:%Y%m%d}"})


def named(connection: Connection, uids: Collection[StudyInstanceUID]) -> dict[StudyInstanceUID, HeldStudy]:
    """Those of these studies that are here, whatever their date."""
    return _held(connection, _NAMED, {"uids": list(uids)}) if uids else {}


def lacking(connection: Connection, source: str, uids: Collection[StudyInstanceUID]) -> dict[StudyInstanceUID, bool]:
    """Of studies that are not here, those that should be: whether each was read at the source before. What retention
    deleted is meant to be away."""
    deleted = deleted_studies.among(connection, uids)
    read = source_studies.were_read(connection, source, uids)
    return {uid: uid in read for uid in uids if uid not in deleted}


def known(connection: Connection, uids: Collection[StudyInstanceUID]) -> set[StudyInstanceUID]:
    """Those of these studies that are here, or were until retention deleted them."""
    return {*named(connection, uids), *map(StudyInstanceUID, deleted_studies.among(connection, uids))}


def _held(connection: Connection, wanted: Any, values: dict[str, Any]) -> dict[StudyInstanceUID, HeldStudy]:
    found = {}
    for row in connection.execute(wanted, values):
        last = outbox.latest(connection, Lane(SETTLE, row.study_uid))
        found[row.study_uid] = HeldStudy(
            row.study_uid, int(row.instances), row.settled_at is not None, OrderStanding(row.order_standing),
            WorkState(last["state"]) if last is not None else None,
            has_moved=bool(row.moved and not row.instances),
        )  # fmt: skip
    return found


def sent_to(connection: Connection, ehr: str, uids: Collection[StudyInstanceUID]) -> dict[StudyInstanceUID, Sent]:
    """What an EHR was sent of these studies; nothing of those of which it was sent nothing."""
    found = {}
    for uid in uids:
        lane = Lane(delivery_to(ehr), uid)
        if (last := outbox.latest(connection, lane)) is not None:
            found[uid] = Sent(WorkState(last["state"]), outbox.last_sent(connection, lane))
    return found


def repair(connection: Connection, differences: Sequence[Difference], *, now: int) -> int:
    """Queue what mends these differences; returns how many that is."""
    return sum(_REPAIRS[one.repair](connection, one, now) for one in differences if one.repair in _REPAIRS)


def _read(connection: Connection, one: Difference, now: int) -> bool:
    source_studies.read_again(connection, one.source, ListedStudy(one.study_uid), now=now)
    return True


def _settle(connection: Connection, one: Difference, now: int) -> bool:
    settling.ask(connection, one.study_uid, now=now)
    return True


def _deliver(connection: Connection, one: Difference, now: int) -> bool:
    # Else a resource that was deleted there would be parked: that it is to be made anew is decided.
    connection.execute(_FORGET, {"the_ehr": one.place, "the_identifier": identifier_of_study(one.study_uid)})
    return outbox.repeat(connection, Lane(delivery_to(one.place), one.study_uid), now=now)


_FORGET: Final = delete(ehr_resources).where(
    ehr_resources.c.ehr == bindparam("the_ehr"), ehr_resources.c.identifier == bindparam("the_identifier")
)


_REPAIRS: Final = {Repair.READ: _read, Repair.SETTLE: _settle, Repair.DELIVER: _deliver}


def withdraw(
    connection: Connection, ehr: str, study_uid: StudyInstanceUID, resource: dict[str, Any], *, now: int
) -> bool:
    """Queue the resource of a study that nobody here knows as entered in error. False: the study has come meanwhile."""
    lock(connection, lock_of(study_uid))
    if known(connection, [study_uid]):
        return False
    in_error = {key: value for key, value in resource.items() if key not in ("id", "meta", "text")}
    in_error["status"] = ERROR
    delivery = Delivery(in_error, digest_of(in_error).hex(), "", 0)
    outbox.deliver(connection, Lane(delivery_to(ehr), study_uid), delivery, now=now)
    return True
