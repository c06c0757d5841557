"""Studies, series and instances: the headers of what arrived."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, func, or_, select, update

from gateway.errors import UnknownKey
from gateway.records.completeness import Decision, Reason
from gateway.records.exclusion import Excluded
from gateway.records.finding import Finding
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.images_side import images_side
from gateway.records.order_check import NOBODY, is_of_patient
from gateway.records.patient import Identity
from gateway.records.rejection import counting
from gateway.records.study import Instance, LinkedOrder, Series, Study, in_order, referenced_orders, series_place
from gateway.store import (
    exclusions,
    moved_instances,
    order_conflicts,
    orders,
    patients,
    study_findings,
    study_orders,
    study_patient,
)
from gateway.store.schema import instances, series, studies
from gateway.store.statement import Statement
from gateway.store.staying import stays


def get(connection: Connection, study_uid: StudyInstanceUID) -> RowMapping | None:
    return connection.execute(_STUDY, {"the_study": study_uid}).mappings().first()


_STUDY: Final = select(studies).where(studies.c.study_uid == bindparam("the_study"))


def tree(connection: Connection, study: int) -> list[tuple[RowMapping, list[RowMapping]]]:
    """Each series of a study with its instances, in order of arrival; without headers."""
    all_series = (
        connection.execute(select(series).where(series.c.study == study).order_by(series.c.id)).mappings().all()
    )
    columns = (instances.c.series, instances.c.sop_uid, instances.c.sop_class_uid, instances.c.attributes)
    rows = connection.execute(
        select(*columns)
        .join(series, series.c.id == instances.c.series)
        .where(series.c.study == study)
        .order_by(instances.c.id)
    ).mappings()
    by_series: dict[int, list[RowMapping]] = {one["id"]: [] for one in all_series}
    for row in rows:
        by_series[row["series"]].append(row)
    return [(one, by_series[one["id"]]) for one in all_series]


def _all_series(connection: Connection, study_row: RowMapping, *, has_moved: bool) -> tuple[Series, ...]:
    """As `tree`, as records, without instances that are excluded or of other studies now: in one pass over the driver's
    rows, of which a study may have thousands."""
    study = study_row["id"]
    held: dict[int, list[Instance]] = {}
    wanted = _INSTANCES_LEFT if has_moved else _INSTANCES_OF
    for of_series, uid, sop_class_uid, written in wanted.found(connection, {"the_study": study}):
        held.setdefault(of_series, []).append(Instance(uid, sop_class_uid, orjson.loads(written)))
    named = connection.execute(_SERIES_OF, {"the_study": study})
    all_series = tuple(
        Series(uid, attributes, in_order(held.get(row, ())))
        for row, uid, attributes in sorted(named, key=lambda row: series_place(row[1], row[2]))
        if row in held or not has_moved
    )
    return _counting(all_series, exclusions.excluded(connection, study_row["study_uid"]))


def _counting(all_series: tuple[Series, ...], left_out: Excluded) -> tuple[Series, ...]:
    """What of a study is not excluded; a series of which nothing is left is none."""
    if not left_out:
        return all_series
    kept = (
        replace(one, instances=tuple(each for each in one.instances if (one.uid, each.uid) not in left_out))
        for one in all_series
    )
    return tuple(one for one in kept if one.instances)


_instances_of: Final = (
    select(instances.c.series, instances.c.sop_uid, instances.c.sop_class_uid, instances.c.attributes)
    .join(series, series.c.id == instances.c.series)
    .where(series.c.study == bindparam("the_study"))
)
_INSTANCES_OF: Final = Statement(_instances_of)
_INSTANCES_LEFT: Final = Statement(_instances_of.where(stays()))
_SERIES_OF: Final = select(series.c.id, series.c.series_uid, series.c.attributes).where(
    series.c.study == bindparam("the_study")
)


def load(connection: Connection, uid: StudyInstanceUID, *, taken_over: Collection[str] | None = None) -> Study | None:
    """The study as it stands, with the orders it answers, and under the patient to whom its Patient ID leads today.

    `taken_over`: studies whose instances are of this one; None: as is written.
    """
    row = get(connection, uid)
    return None if row is None else _loaded(connection, uid, row, taken_over)


def look_for_none(connection: Connection, uid: StudyInstanceUID, accession_number: AccessionNumber) -> None:
    """Ask what `load` asks, for a study that is not there: each statement is compiled when it is first run."""
    known = {"id": 0, "study_uid": uid, "accession": accession_number, "patient_id": "0", "patient_issuer": ""}
    others = {"attributes": {}, "revision": 0, "rejected": 0, "moved": 0, "withdrawn_at": None}
    _loaded(connection, uid, cast(RowMapping, known | others), None)


def _loaded(
    connection: Connection, uid: StudyInstanceUID, row: RowMapping, taken_over: Collection[str] | None
) -> Study:
    moved = tuple(moved_instances.of_study(connection, uid))
    all_series = _all_series(connection, row, has_moved=bool(moved))
    stated_by_series = [one.attributes for one in all_series]
    former = moved_instances.former_studies(connection, uid, taken_over)
    clues = study_orders.clues_of(row, stated_by_series, referenced_orders(all_series), former)
    every = study_orders.tied(connection, clues)
    patient, attributes = study_patient.patient_today(connection, row, every)
    images = images_side(row["attributes"], stated_by_series, patient if row["patient_id"] else NOBODY)
    meant = study_orders.sure(images, every)
    # Of images without a Patient ID, too, no order of another is linked than of the patient whom the study has.
    whose = replace(images, patient=patient)
    linked = [one for one in meant if is_of_patient(whose, one.order)]
    attributes = study_patient.named_as_ordered(attributes, linked)
    tied = tuple(_linked(one.row) for one in linked)
    stated = {row["accession"]: study_orders.authority_of(attributes), **clues.numbers}
    foreign = _foreign(connection, patient, stated, {"", *(one.accession_number for one in tied)})
    known = patients.meant(connection, patient) if patient.patient_id else None
    reported = known["attributes"] if known is not None else {}
    return Study(
        uid, attributes, all_series, tied, row["revision"], foreign, reported,
        identities=study_patient.identities(connection, counting(all_series)),
        withdrawn=row["withdrawn_at"] is not None, findings=study_findings.of_arrival(connection, row["id"]),
        rejected=row["rejected"], moved=moved, moved_left_out=row["moved"], images=images,
        claimed=tuple(one.order for one in meant), checked=tuple(order_conflicts.of_study(connection, uid)),
    )  # fmt: skip


def _foreign(
    connection: Connection, patient: Identity, stated: Mapping[str, str], tied: Collection[str]
) -> frozenset[str]:
    """Which accession numbers of a study, beside those `tied` to it, belong to orders of other patients alone.

    `stated`: accession number -> who gives it.
    """
    return frozenset(
        number
        for number, authority in stated.items()
        if number not in tied
        and orders.of_others_alone(
            connection,
            AccessionNumber(number),
            authority=authority,
            patient_id=patient.patient_id,
            issuer=patient.issuer,
        )
    )


def _linked(row: RowMapping) -> LinkedOrder:
    return LinkedOrder(
        accession_number=row["accession"],
        accession_number_issuer=row["authority"],
        placer=row["placer"],
        placer_authority=row["placer_authority"] or row["sender"],
        filler=row["filler"],
        filler_authority=row["filler_authority"] or row["sender"],
        patient_issuer=row["issuer"],
    )


def mark_settled(
    connection: Connection,
    study: int,
    *,
    revision: int,
    now: int,
    because: Decision,
    findings: Iterable[Finding] = (),
    longest_pause: int | None = None,
) -> None:
    """Note that a study has become deliveries as it was at `revision`, why it did, and what they do not say.

    Of a revision that had settled before, when an instance came during the look, the first reason stays.
    """
    rows = [one.as_row() for one in findings]
    values = {"settled_revision": revision, "settled_at": now, "findings": rows, "longest_pause": longest_pause}
    reasons = {"settled_because": because.as_row()}
    if because.reason is Reason.CHANGED:
        known = select(studies.c.settled_revision).where(studies.c.id == study)
        reasons = {} if connection.execute(known).scalar() == revision else reasons
    connection.execute(update(studies).where(studies.c.id == study), {**values, **reasons})


def counts(connection: Connection, study: int) -> tuple[int, int]:
    """(series, instances) of a study."""
    wanted = (
        select(func.count(func.distinct(series.c.id)), func.count(instances.c.id))
        .join(instances, instances.c.series == series.c.id)
        .where(series.c.study == study)
    )
    number = connection.execute(wanted).one()
    return number[0], number[1]


def arrived(connection: Connection, study_uids: Sequence[str]) -> set[str]:
    """SOP Instance UIDs of all instances of these studies."""
    wanted = (
        select(instances.c.sop_uid)
        .join(series, series.c.id == instances.c.series)
        .join(studies, studies.c.id == series.c.study)
        .where(studies.c.study_uid.in_(study_uids))
    )
    return set(connection.execute(wanted).scalars())


def of_accession_number(connection: Connection, accession_number: AccessionNumber) -> list[RowMapping]:
    return list(
        connection.execute(
            select(studies).where(studies.c.accession == accession_number).order_by(studies.c.id)
        ).mappings()
    )


def headers(connection: Connection, study: int) -> list[tuple[int, bytes, str, bytes]]:
    """(row, digest, transfer syntax UID, encoded header) of every instance."""
    wanted = (
        select(instances.c.id, instances.c.digest, instances.c.transfer_syntax_uid, instances.c.header)
        .join(series, series.c.id == instances.c.series)
        .where(series.c.study == study)
        .order_by(instances.c.id)
    )
    rows = connection.execute(wanted)
    return [(one, digest, syntax, zlib.decompress(header)) for one, digest, syntax, header in rows]


def withdraw(
    connection: Connection, study_uid: StudyInstanceUID, *, at: int | None, person: str = "", reason: str = ""
) -> bool:
    """State that a study is in error from `at` on, or with None that it is not; False when that is so already.

    Raises `UnknownKey`.
    """
    row = get(connection, study_uid)
    if row is None:
        raise UnknownKey("there is no such study", place=study_uid)
    if (row["withdrawn_at"] is None) == (at is None):
        return False
    stated = {"withdrawn_at": at, "withdrawn_by": person, "withdrawn_reason": reason}
    changed = update(studies).where(studies.c.id == row["id"]).values(**stated, revision=studies.c.revision + 1)
    connection.execute(changed)
    return True


_OF_PATIENT: Final = select(studies.c.study_uid).where(
    studies.c.patient_id == bindparam("patient_id"),
    or_(studies.c.patient_issuer == "", studies.c.patient_issuer == bindparam("issuer")),
)


def of_patient(connection: Connection, identity: Identity) -> list[StudyInstanceUID]:
    """UIDs of the studies whose headers name this patient, or their number without an issuer."""
    values = {"patient_id": identity.patient_id, "issuer": identity.issuer}
    return list(connection.execute(_OF_PATIENT.order_by(studies.c.id), values).scalars())
