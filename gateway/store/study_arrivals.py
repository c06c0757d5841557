"""An instance that arrived: study, series, instance, growth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, delete, exists, insert, select, update

from gateway.records.agreement import AgreementRules, Stating, Together, of_levels, together, with_one_more
from gateway.records.arrival import HeaderRank, InstanceArrival, Kept
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.rejection import TO_BE_READ_AGAIN, counting, number_rejected
from gateway.records.study import Instance, Series
from gateway.store import completeness, exclusions, moved_instances, pixel_files, study_requests
from gateway.store.engine import lock
from gateway.store.schema import exclusions as excluded_parts
from gateway.store.schema import instance_findings, instances, series, studies, study_evidence
from gateway.store.schema import moved_instances as moves
from gateway.store.statement import Statement
from gateway.store.study_keys import series_columns, study_columns

_has_exclusions: Final = exists().where(excluded_parts.c.study_uid == bindparam("uid"))
_is_stated: Final = exists().where(study_evidence.c.study_uid == bindparam("uid"))
_has_moved: Final = exists().where(moves.c.instance == instances.c.id)
_FIND: Final = Statement(
    select(
        studies.c.id.label("study"),
        studies.c.attributes.label("study_attributes"),
        studies.c.sources.label("study_sources"),
        studies.c.rejected,
        _has_exclusions.label("has_exclusions"),
        _is_stated.label("is_stated"),
        series.c.id.label("series"),
        series.c.attributes.label("series_attributes"),
        series.c.sources.label("series_sources"),
        instances.c.id.label("instance"),
        instances.c.digest,
        instances.c.header_rank,
        instances.c.sop_class_uid,
        instances.c.attributes.label("instance_attributes"),
        _has_moved.label("has_moved"),
    )
    .outerjoin(series, and_(series.c.study == studies.c.id, series.c.series_uid == bindparam("of_series")))
    .outerjoin(instances, and_(instances.c.series == series.c.id, instances.c.sop_uid == bindparam("of_instance")))
    .where(studies.c.study_uid == bindparam("uid"))
)
_ADD: Final = Statement(
    insert(instances),
    (
        "series", "sop_uid", "sop_class_uid", "attributes", "transfer_syntax_uid", "header", "digest", "received_at",
        "header_rank",
    ),
)  # fmt: skip


def _key(result: Any) -> int:
    return int(result.inserted_primary_key[0])


def keep(connection: Connection, arrival: InstanceArrival, rules: AgreementRules) -> Kept:
    """Keep one instance under its study and series, with its file.

    Not new when the same header was here already, when the one that is here has more (`HeaderRank`), and when the
    attributes that are read of both are the same, such as in another transfer syntax.

    What study and series state follows from their instances by `rules`, not from the order in which they came. Where
    that needs more than one instance, as when it is sent again without what counted of it, the study is marked, and
    read again before it settles.
    """
    lock(connection, f"study|{arrival.study_uid}")
    asked = {"uid": arrival.study_uid, "of_series": arrival.series_uid, "of_instance": arrival.sop_uid}
    held = _FIND.first(connection, asked) or {}
    study = held.get("study") or _new_study(connection, arrival)
    is_stated = held["is_stated"] if held else completeness.is_stated(connection, arrival.study_uid)
    if held.get("has_exclusions") or held.get("has_moved"):
        arrival = _as_it_counts(connection, arrival, has_moved=held["has_moved"])
    stored: int | None = held.get("instance")
    if stored is not None and not _counts(arrival, held):
        return Kept(stored, is_new=False, has_new_file=_keep_file(connection, stored, arrival))
    states = of_levels(arrival.sop_uid, arrival.levels, rules)
    of_study, of_series = _held(held, "study"), _held(held, "series")
    in_series, series_unknown = with_one_more(of_series, states["series"], rules.series)
    row, series_says_more = _keep_series(connection, arrival, study, held, in_series)
    instance, instance_says_more = _keep_instance(connection, arrival, row, held)
    stated, study_unknown = with_one_more(of_study, states["study"], rules.study)
    study_says_more = stated != of_study
    # What an instance that was rejected states counts, until the study is read again without it.
    must_be_read = study_unknown or series_unknown or bool(stored is not None and held["rejected"])
    # An instance that is of another study now may count here again, as it came later.
    is_new = bool(instance_says_more or series_says_more or study_says_more or must_be_read or held.get("has_moved"))
    if is_new:
        _grow(connection, arrival, study, stated if study_says_more else None)
    if must_be_read:
        connection.execute(update(studies).where(studies.c.id == study), {"rejected": TO_BE_READ_AGAIN})
    has_new_file = _keep_file(connection, instance, arrival, is_new=stored is None)
    return Kept(instance, is_new=is_new, has_new_file=has_new_file, is_stated=bool(is_stated))


def _counts(arrival: InstanceArrival, held: Mapping[str, Any]) -> bool:
    """Whether the header takes the place of that which is held of the same instance."""
    rank = HeaderRank(held["header_rank"])
    return arrival.rank.takes_the_place_of(rank) and (arrival.digest, arrival.rank) != (held["digest"], rank)


def _held(held: Mapping[str, Any], level: str) -> Together:
    """What the instances of a level state together so far."""
    return Together(held.get(f"{level}_attributes") or {}, held.get(f"{level}_sources") or {})


def _grow(connection: Connection, arrival: InstanceArrival, study: int, stated: Together | None) -> None:
    """`stated`: what the study states from now on; None: as before."""
    values: dict[str, Any] = {"the_id": study, "now": arrival.received_at}
    if stated is None:
        _GROW.run(connection, values)
    else:
        _GROW_AND_STATE.run(connection, values | _named(study_columns(stated)))


def _as_it_counts(connection: Connection, arrival: InstanceArrival, *, has_moved: bool) -> InstanceArrival:
    """Of an instance that is excluded, or of another study now, study and series say nothing."""
    left_out = exclusions.excluded(connection, arrival.study_uid)
    is_left_out = has_moved or (arrival.series_uid, arrival.sop_uid) in left_out
    return replace(arrival, study={}, series={}) if is_left_out else arrival


def _named(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Values of columns by the names of their parameters."""
    return {f"the_{column}": value for column, value in columns.items()}


def _new_study(connection: Connection, arrival: InstanceArrival) -> int:
    row = {
        "study_uid": arrival.study_uid, "accession": "", "patient_id": "", "patient_issuer": "",
        "source_ae": arrival.source_ae, "attributes": {}, "sources": {},
        "revision": 0, "settled_revision": 0, "first_at": arrival.received_at, "last_at": arrival.received_at,
    }  # fmt: skip
    return _key(connection.execute(insert(studies), row))


def _keep_instance(
    connection: Connection, arrival: InstanceArrival, of_series: int, held: Mapping[str, Any]
) -> tuple[int, bool]:
    """The row of the instance, and whether something else is read of it than before."""
    values = {
        "series": of_series, "sop_uid": arrival.sop_uid, "sop_class_uid": arrival.sop_class_uid,
        "attributes": arrival.instance, "transfer_syntax_uid": arrival.transfer_syntax_uid, "header": arrival.header,
        "digest": arrival.digest, "received_at": arrival.received_at, "header_rank": int(arrival.rank),
    }  # fmt: skip
    stored: int | None = held.get("instance")
    if stored is None:
        instance = _ADD.add(connection, values)
        _note(connection, instance, arrival.findings)
        if arrival.former:
            moved_instances.keep_former(connection, instance, arrival.former, is_new=True)
        return instance, True
    connection.execute(update(instances).where(instances.c.id == stored), values)
    gone = connection.execute(delete(instance_findings).where(instance_findings.c.instance == stored)).rowcount
    _note(connection, stored, arrival.findings)
    has_other_uids = moved_instances.keep_former(connection, stored, arrival.former, is_new=False)
    before = held["sop_class_uid"], held["instance_attributes"]
    is_remarkable = bool(gone or arrival.findings or has_other_uids)
    return stored, is_remarkable or before != (arrival.sop_class_uid, arrival.instance)


def _keep_series(
    connection: Connection, arrival: InstanceArrival, study: int, held: Mapping[str, Any], stated: Together
) -> tuple[int, bool]:
    """The row of the series, with what its instances state together, and whether that is something else than before."""
    row: int | None = held.get("series")
    if row is None:
        study_requests.note(connection, arrival)
        values = {"study": study, "series_uid": arrival.series_uid, **series_columns(stated)}
        return _key(connection.execute(insert(series), values)), True
    has_changed = stated != _held(held, "series")
    if has_changed:
        study_requests.note(connection, arrival)
        connection.execute(_SET_SERIES, _named({"id": row, **series_columns(stated)}))
    return row, has_changed


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
        modality=bindparam("the_modality"),
    )
)

_GROWN: Final = (
    update(studies)
    .where(studies.c.id == bindparam("the_id"))
    .values(revision=studies.c.revision + 1, grown_revision=studies.c.revision + 1, last_at=bindparam("now"))
)
_GROW: Final = Statement(_GROWN)
_GROW_AND_STATE: Final = Statement(
    _GROWN.values(
        attributes=bindparam("the_attributes", type_=studies.c.attributes.type),
        sources=bindparam("the_sources", type_=studies.c.sources.type),
        accession=bindparam("the_accession"),
        patient_id=bindparam("the_patient_id"),
        patient_issuer=bindparam("the_patient_issuer"),
        study_date=bindparam("the_study_date"),
        name_key=bindparam("the_name_key"),
    )
)


_MEMBERS: Final = (
    select(
        instances.c.id, instances.c.series, instances.c.digest, instances.c.sop_uid, instances.c.sop_class_uid,
        series.c.series_uid,
    )
    .join(series, series.c.id == instances.c.series)
    .where(series.c.study == bindparam("the_study"))
    .order_by(instances.c.id)
)  # fmt: skip


def say_again(
    connection: Connection,
    study_uid: StudyInstanceUID,
    study: int,
    read: Mapping[int, tuple[bytes, Mapping[str, Attributes]]],
    rules: AgreementRules,
) -> bool:
    """Replace what is known of a study: `read` holds, by row of the instance, the digest of the header that was
    read and what it says at each level. Instances that are excluded, rejected or of another study now say nothing of
    study and series; where all of them moved, they say whose study it was.

    As in `keep`, study and series follow from the instances by `rules`. False, and nothing changed, when the study
    no longer has just these instances with these headers.
    """
    lock(connection, f"study|{study_uid}")
    rows = connection.execute(_MEMBERS, {"the_study": study}).all()
    if {row.id: row.digest for row in rows} != {one: digest for one, (digest, _) in read.items()}:
        return False
    members = [(row, Instance(row.sop_uid, row.sop_class_uid, _own(row, read[row.id][1]))) for row in rows]
    for row, instance in members:
        connection.execute(update(instances).where(instances.c.id == row.id), {"attributes": instance.attributes})
    left_out = exclusions.excluded(connection, study_uid)
    kept = [(row, instance) for row, instance in members if (row.series_uid, row.sop_uid) not in left_out]
    moved = moved_instances.rows_of(connection, study_uid)
    if moved:
        kept = [one for one in kept if one[0].id not in moved] or members
    whole = (Series("", {}, tuple(instance for row, instance in kept if row.id not in moved)),)
    counts = {one.uid for one in counting(whole)[0].instances} or {row.sop_uid for row, _ in kept}
    stating = [(row.series, of_levels(row.sop_uid, read[row.id][1], rules)) for row, _ in kept if row.sop_uid in counts]
    _set_levels(connection, study, stating, rules)
    values = {"rejected": number_rejected(whole), "moved": len(moved)}
    connection.execute(update(studies).where(studies.c.id == study), values)
    return True


def _own(row: Any, levels: Mapping[str, Attributes]) -> Attributes:
    """What an instance says of itself; UID and class as they were announced where its header lacks them."""
    return {"SOPInstanceUID": row.sop_uid, "SOPClassUID": row.sop_class_uid, **levels["instance"]}


def _set_levels(
    connection: Connection, study: int, stating: Sequence[tuple[int, Mapping[str, Stating]]], rules: AgreementRules
) -> None:
    """Let a study and its series state what these instances give together: (row of the series, by level) of each."""
    of_series: dict[int, list[Stating]] = {}
    for series_row, levels in stating:
        of_series.setdefault(series_row, []).append(levels["series"])
    for one, stated in of_series.items():
        connection.execute(_SET_SERIES, _named({"id": one, **series_columns(together(stated, rules.series))}))
    of_study = together((levels["study"] for _, levels in stating), rules.study)
    connection.execute(update(studies).where(studies.c.id == study), study_columns(of_study))
