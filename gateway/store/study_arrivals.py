"""An instance that arrived: study, series, instance, growth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from gateway.records.agreement import Sources, agreed, together
from gateway.records.arrival import InstanceArrival, Kept
from gateway.records.finding import Finding
from gateway.records.identifiers import SOPInstanceUID, StudyInstanceUID
from gateway.records.order import Attributes
from gateway.store import exclusions, pixel_files
from gateway.store.engine import lock
from gateway.store.schema import exclusions as excluded_parts
from gateway.store.schema import instance_findings, instances, series, studies

_has_exclusions: Final = exists().where(excluded_parts.c.study_uid == bindparam("uid"))
_STUDY: Final = select(
    studies.c.id, studies.c.attributes, studies.c.sources, _has_exclusions.label("has_exclusions")
).where(studies.c.study_uid == bindparam("uid"))

_SERIES: Final = select(series.c.id, series.c.attributes, series.c.sources).where(
    series.c.study == bindparam("the_study"), series.c.series_uid == bindparam("uid")
)

_INSTANCE: Final = select(instances.c.id, instances.c.digest).where(
    instances.c.series == bindparam("the_series"), instances.c.sop_uid == bindparam("uid")
)


def _key(result: Any) -> int:
    return int(result.inserted_primary_key[0])


def keep(connection: Connection, arrival: InstanceArrival) -> Kept:
    """Keep one instance under its study and series, with its file. Not new when the same header was here already.

    What study and series say follows from their instances by `agreement`, not from the order in which they came; an
    instance that is sent again with corrected data corrects both.
    """
    lock(connection, f"study|{arrival.study_uid}")
    study = connection.execute(_STUDY, {"uid": arrival.study_uid}).first()
    study_row = _new_study(connection, arrival) if study is None else int(study.id)
    if study is not None and study.has_exclusions:
        arrival = _as_it_counts(connection, arrival)
    kept = _keep_instance(connection, arrival, study_row)
    if not kept.is_new:
        return kept
    held: tuple[Attributes, Sources] = (study.attributes, study.sources) if study else ({}, {})
    attributes, sources = agreed(*held, arrival.study, arrival.sop_uid)
    values = {f"the_{column}": value for column, value in _columns(attributes, sources).items()}
    connection.execute(_GROW, {"the_id": study_row, "now": arrival.received_at, **values})
    return kept


def _as_it_counts(connection: Connection, arrival: InstanceArrival) -> InstanceArrival:
    """Of an instance that is excluded study and series say nothing."""
    is_excluded = (arrival.series_uid, arrival.sop_uid) in exclusions.excluded(connection, arrival.study_uid)
    return replace(arrival, study={}, series={}) if is_excluded else arrival


def _columns(attributes: Attributes, sources: Sources) -> dict[str, Any]:
    """What a row of `studies` holds of what its instances say."""
    return {
        "attributes": attributes,
        "sources": sources,
        "accession": _text(attributes, "AccessionNumber"),
        "patient_id": _text(attributes, "PatientID"),
        "patient_issuer": _text(attributes, "IssuerOfPatientID"),
    }


def _new_study(connection: Connection, arrival: InstanceArrival) -> int:
    row = {
        "study_uid": arrival.study_uid, "accession": "", "patient_id": "", "patient_issuer": "",
        "source_ae": arrival.source_ae, "attributes": {}, "sources": {},
        "revision": 0, "settled_revision": 0, "first_at": arrival.received_at, "last_at": arrival.received_at,
    }  # fmt: skip
    return _key(connection.execute(insert(studies), row))


def _text(attributes: Attributes, keyword: str) -> str:
    value = attributes.get(keyword, "")
    return str(value[0] if isinstance(value, list) and value else value or "")


def _keep_instance(connection: Connection, arrival: InstanceArrival, study_row: int) -> Kept:
    of_series = connection.execute(_SERIES, {"the_study": study_row, "uid": arrival.series_uid}).first()
    if of_series is None:
        attributes, sources = agreed({}, {}, arrival.series, arrival.sop_uid)
        row = {"study": study_row, "series_uid": arrival.series_uid, "attributes": attributes, "sources": sources}
        series_row, stored = _key(connection.execute(insert(series), row)), None
    else:
        series_row = int(of_series.id)
        stored = connection.execute(_INSTANCE, {"the_series": series_row, "uid": arrival.sop_uid}).first()
        if stored is not None and stored.digest == arrival.digest:
            return Kept(int(stored.id), is_new=False, has_new_file=_keep_file(connection, int(stored.id), arrival))
        attributes, sources = agreed(of_series.attributes, of_series.sources, arrival.series, arrival.sop_uid)
        if (attributes, sources) != (of_series.attributes, of_series.sources):
            connection.execute(
                _SET_SERIES, {"the_id": series_row, "the_attributes": attributes, "the_sources": sources}
            )
    values = {
        "series": series_row, "sop_uid": arrival.sop_uid, "sop_class_uid": arrival.sop_class_uid,
        "attributes": arrival.instance, "transfer_syntax_uid": arrival.transfer_syntax_uid,
        "header": arrival.header, "digest": arrival.digest, "received_at": arrival.received_at,
    }  # fmt: skip
    if stored is None:
        instance = _key(connection.execute(insert(instances), values))
    else:
        instance = int(stored.id)
        connection.execute(update(instances).where(instances.c.id == instance), values)
        connection.execute(delete(instance_findings).where(instance_findings.c.instance == instance))
    _note(connection, instance, arrival.findings)
    has_new_file = _keep_file(connection, instance, arrival, is_new=stored is None)
    return Kept(instance, is_new=True, has_new_file=has_new_file)


def _keep_file(connection: Connection, instance: int, arrival: InstanceArrival, *, is_new: bool = False) -> bool:
    if arrival.stored is None:
        return False
    syntax, now = arrival.transfer_syntax_uid, arrival.received_at
    return pixel_files.keep(connection, instance, arrival.stored, syntax, now, is_new=is_new)


def _note(connection: Connection, instance: int, findings: Sequence[Finding]) -> None:
    if findings:
        rows = [finding.as_row() for finding in findings]
        connection.execute(insert(instance_findings), {"instance": instance, "findings": rows})


_SET_SERIES: Final = (
    update(series)
    .where(series.c.id == bindparam("the_id"))
    .values(
        attributes=bindparam("the_attributes", type_=series.c.attributes.type),
        sources=bindparam("the_sources", type_=series.c.sources.type),
    )
)

_GROW: Final = (
    update(studies)
    .where(studies.c.id == bindparam("the_id"))
    .values(
        revision=studies.c.revision + 1,
        last_at=bindparam("now"),
        attributes=bindparam("the_attributes", type_=studies.c.attributes.type),
        sources=bindparam("the_sources", type_=studies.c.sources.type),
        accession=bindparam("the_accession"),
        patient_id=bindparam("the_patient_id"),
        patient_issuer=bindparam("the_patient_issuer"),
    )
)


def say_again(
    connection: Connection,
    study_uid: StudyInstanceUID,
    study: int,
    read: Mapping[int, tuple[bytes, Mapping[str, Attributes]]],
) -> bool:
    """Replace what is known of a study: `read` holds, by row of the instance, the digest of the header that was
    read and what it says at each level. Instances that are excluded say nothing of study and series.

    As in `keep`, study and series follow from the instances by `agreement`. False, and nothing changed, when the study
    no longer has just these instances with these headers.
    """
    lock(connection, f"study|{study_uid}")
    rows = connection.execute(
        select(instances.c.id, instances.c.series, instances.c.digest, instances.c.sop_uid, series.c.series_uid)
        .join(series, series.c.id == instances.c.series)
        .where(series.c.study == study)
        .order_by(instances.c.id)
    ).all()
    if {row.id: row.digest for row in rows} != {one: digest for one, (digest, _) in read.items()}:
        return False
    counting = []
    left_out = exclusions.excluded(connection, study_uid)
    for row in rows:
        _, levels = read[row.id]
        connection.execute(update(instances).where(instances.c.id == row.id), {"attributes": levels["instance"]})
        if (row.series_uid, row.sop_uid) not in left_out:
            counting.append((row.series, row.sop_uid, levels))
    _set_levels(connection, study, counting)
    return True


def _set_levels(
    connection: Connection, study: int, counting: Sequence[tuple[int, SOPInstanceUID, Mapping[str, Attributes]]]
) -> None:
    """Let a study and its series say what these instances give together: (row of the series, UID, levels) of each."""
    of_series: dict[int, list[tuple[SOPInstanceUID, Attributes]]] = {}
    for series_row, sop_uid, levels in counting:
        of_series.setdefault(series_row, []).append((sop_uid, levels["series"]))
    for one, stated in of_series.items():
        attributes, sources = together(stated)
        connection.execute(_SET_SERIES, {"the_id": one, "the_attributes": attributes, "the_sources": sources})
    attributes, sources = together((sop_uid, levels["study"]) for _, sop_uid, levels in counting)
    connection.execute(update(studies).where(studies.c.id == study), _columns(attributes, sources))
