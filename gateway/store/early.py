"""What came before its order: studies, and items of performed steps. One look for both, with every order."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Text, and_, bindparam, cast, false, literal, or_, select, union_all

from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.row_ids import PerformedStepRow
from gateway.store.absences import Key, are_absent
from gateway.store.retention.studies import HAS_ITS_NAME
from gateway.store.schema import (
    former_uids,
    instances,
    moved_instances,
    series,
    studies,
    study_requests,
    unlinked_items,
)
from gateway.store.statement import Statement
from gateway.value_class import value_class

_NUMBERED: Final = bindparam("accession") != ""
_EARLY: Final = Statement(
    union_all(
        select(studies.c.study_uid, literal(0).label("performed_step")).where(
            or_(
                studies.c.study_uid == bindparam("study_uid"),
                and_(_NUMBERED, studies.c.accession == bindparam("accession")),
            )
        ),
        # Of a study whose Study Instance UID was changed: an order states the former.
        select(studies.c.study_uid, literal(0))
        .join(series, series.c.study == studies.c.id)
        .join(instances, instances.c.series == series.c.id)
        .join(former_uids, former_uids.c.instance == instances.c.id)
        .where(
            former_uids.c.study_uid == bindparam("study_uid"),
            bindparam("study_uid") != "",
            HAS_ITS_NAME,
        )
        .distinct(),
        select(moved_instances.c.to_study_uid, literal(0))
        .where(moved_instances.c.study_uid == bindparam("study_uid"))
        .distinct(),
        select(study_requests.c.study_uid, literal(0)).where(
            _NUMBERED, study_requests.c.accession == bindparam("accession")
        ),
        select(cast(literal(""), Text), unlinked_items.c.performed_step).where(
            unlinked_items.c.by_person == false(),
            or_(
                unlinked_items.c.study_uid == bindparam("study_uid"),
                and_(_NUMBERED, unlinked_items.c.accession == bindparam("accession")),
            ),
        ),
    )
)


@value_class
class Early:
    """What may belong to an order that comes later."""

    studies: tuple[StudyInstanceUID, ...]
    performed_steps: tuple[PerformedStepRow, ...]
    """Those with an item that no rule has linked, and no person has kept from being linked."""


def keys_of(study_uid: StudyInstanceUID, accession_number: AccessionNumber) -> list[Key]:
    """By which it is known whether something came before an order with these numbers."""
    keys: tuple[Key, ...] = ("early study", study_uid, ""), ("early accession", accession_number, "")
    return [key for key in keys if key[1]]


def of_order(connection: Connection, *, study_uid: StudyInstanceUID, accession_number: AccessionNumber) -> Early:
    """What is here with the Study Instance UID of an order, or with its accession number, whatever patient it names."""
    keys = keys_of(study_uid, accession_number)
    if are_absent(connection, keys):
        return Early((), ())
    values = {"study_uid": study_uid, "accession": accession_number}
    rows = _EARLY.rows(connection, values)
    return Early(
        tuple(dict.fromkeys(row["study_uid"] for row in rows if not row["performed_step"])),
        tuple(dict.fromkeys(row["performed_step"] for row in rows if row["performed_step"])),
    )
