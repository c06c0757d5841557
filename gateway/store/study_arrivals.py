"""An instance that arrived: study, series, instance, growth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, and_, bindparam, delete, exists, insert, select, update

from gateway.records.agreement import AgreementRules, Together, of_levels, with_one_more
from gateway.records.arrival import HeaderRank, InstanceArrival, Kept
from gateway.records.finding import Finding
from gateway.records.rejection import TO_BE_READ_AGAIN
from gateway.store import completeness, exclusions, moved_instances, pixel_files, study_requests
from gateway.store.engine import lock
from gateway.store.foreseen import Read
from gateway.store.schema import exclusions as excluded_parts
from gateway.store.schema import instance_findings, instances, series, studies, study_evidence
from gateway.store.schema import moved_instances as moves
from gateway.store.statement import Statement
from gateway.store.study_keys import lock_of, series_columns, study_columns
from gateway.store.study_rereading import set_series

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
    .where(studies.c.study_uid == bindparam("uid")),
    about=lambda values, _rows: (
        ("study", values["uid"]), ("series", values["of_series"]), ("instance", values["of_instance"]),
    ),
)  # fmt: skip
_ADD_STUDY: Final = Statement(
    insert(studies),
    (
        "study_uid", "accession", "patient_id", "patient_issuer", "study_date", "name_key", "source_ae", "attributes",
        "sources", "revision", "settled_revision", "grown_revision", "first_at", "last_at",
    ),
    touches=lambda values: (("study", values["study_uid"]),),
)  # fmt: skip
_ADD_SERIES: Final = Statement(
    insert(series),
    ("study", "series_uid", "attributes", "sources", "modality"),
    touches=lambda values: (("series", values["series_uid"]),),
)
_ADD: Final = Statement(
    insert(instances),
    (
        "series", "sop_uid", "sop_class_uid", "attributes", "transfer_syntax_uid", "header", "digest", "received_at",
        "header_rank",
    ),
    touches=lambda values: (("instance", values["sop_uid"]),),
)  # fmt: skip
LONG_HEADER: Final = 64 * 1024
"""A longer one is not kept in memory until others have come."""


def read_of(arrival: InstanceArrival) -> Read:
    """What `keep` reads of an arrival in any case."""
    return _FIND, {"uid": arrival.study_uid, "of_series": arrival.series_uid, "of_instance": arrival.sop_uid}


def keep(connection: Connection, arrival: InstanceArrival, rules: AgreementRules) -> Kept:
    """Keep one instance under its study and series, with its file.

    Not new when the same header was here already, when the one that is here has more (`HeaderRank`), and when the
    attributes that are read of both are the same, such as in another transfer syntax.

    What study and series state follows from their instances by `rules`, not from the order in which they came. Where
    that needs more than one instance, as when it is sent again without what counted of it, the study is marked, and
    read again before it settles.
    """
    lock(connection, lock_of(arrival.study_uid))
    _, asked = read_of(arrival)
    held = _FIND.first(connection, asked) or {}
    is_stated = held["is_stated"] if held else completeness.is_stated(connection, arrival.study_uid)
    if held.get("has_exclusions") or held.get("has_moved"):
        arrival = _as_it_counts(connection, arrival, has_moved=held["has_moved"])
    stored: int | None = held.get("instance")
    if stored is not None and not _counts(arrival, held):
        return Kept(stored, is_new=False, has_new_file=_keep_file(connection, stored, arrival))
    states = of_levels(arrival.sop_uid, arrival.levels, rules)
    of_study, of_series = _held(held, "study"), _held(held, "series")
    in_series, series_unknown = with_one_more(of_series, states["series"], rules.series)
    stated, study_unknown = with_one_more(of_study, states["study"], rules.study)
    study_says_more = stated != of_study
    study = held["study"] if held else _new_study(connection, arrival, stated)
    row, series_says_more = _keep_series(connection, arrival, study, held, in_series)
    instance, instance_says_more = _keep_instance(connection, arrival, row, held)
    # What an instance that was rejected states counts, until the study is read again without it.
    must_be_read = study_unknown or series_unknown or bool(stored is not None and held["rejected"])
    # An instance that is of another study now may count here again, as it came later.
    is_new = bool(instance_says_more or series_says_more or study_says_more or must_be_read or held.get("has_moved"))
    if is_new and held:
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
    values: dict[str, Any] = {"the_id": study, "now": arrival.received_at, "by": 1}
    if stated is None:
        _GROW.change_later(connection, values, row="the_id", joined=_grown)
    else:
        _GROW_AND_STATE.run(
            connection,
            values
            | {f"the_{column}": value for column, value in study_columns(stated).items()}
            | {"uid": arrival.study_uid},
        )


def _grown(before: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The growth by two instances, one after the other."""
    return {**values, "by": before["by"] + values["by"]}


def _as_it_counts(connection: Connection, arrival: InstanceArrival, *, has_moved: bool) -> InstanceArrival:
    """Of an instance that is excluded, or of another study now, study and series say nothing."""
    left_out = exclusions.excluded(connection, arrival.study_uid)
    is_left_out = has_moved or (arrival.series_uid, arrival.sop_uid) in left_out
    return replace(arrival, study={}, series={}) if is_left_out else arrival


def _new_study(connection: Connection, arrival: InstanceArrival, stated: Together) -> int:
    row = {
        "study_uid": arrival.study_uid, "source_ae": arrival.source_ae, **study_columns(stated),
        "revision": 1, "settled_revision": 0, "grown_revision": 1,
        "first_at": arrival.received_at, "last_at": arrival.received_at,
    }  # fmt: skip
    return _ADD_STUDY.add(connection, row)


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
        add = _ADD.add if len(arrival.header) < LONG_HEADER else _ADD.add_now
        instance = add(connection, values)
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
        return _ADD_SERIES.add(connection, values), True
    has_changed = stated != _held(held, "series")
    if has_changed:
        study_requests.note(connection, arrival)
        set_series(connection, row, stated)
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


_GROWN: Final = (
    update(studies)
    .where(studies.c.id == bindparam("the_id"))
    .values(
        revision=studies.c.revision + bindparam("by", type_=Integer),
        grown_revision=studies.c.revision + bindparam("by", type_=Integer),
        last_at=bindparam("now", type_=BigInteger),
    )
)
# What it changes is no part of what `keep` reads.
_GROW: Final = Statement(_GROWN, touches=lambda _values: ())
_GROW_AND_STATE: Final = Statement(
    _GROWN.values(
        attributes=bindparam("the_attributes", type_=studies.c.attributes.type),
        sources=bindparam("the_sources", type_=studies.c.sources.type),
        accession=bindparam("the_accession"),
        patient_id=bindparam("the_patient_id"),
        patient_issuer=bindparam("the_patient_issuer"),
        study_date=bindparam("the_study_date"),
        name_key=bindparam("the_name_key"),
    ),
    touches=lambda values: (("study", values["uid"]),),
)
