"""An instance that arrived: study, series, instance, growth."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from gateway.records.arrival import InstanceArrival
from gateway.records.order import Attributes
from gateway.store.engine import lock
from gateway.store.schema import instances, series, studies

_STUDY: Final = select(
    studies.c.id, studies.c.attributes, studies.c.accession, studies.c.patient_id, studies.c.patient_issuer
).where(studies.c.study_uid == bindparam("uid"))

_SERIES: Final = select(series.c.id).where(
    series.c.study == bindparam("the_study"), series.c.series_uid == bindparam("uid")
)

_INSTANCE: Final = select(instances.c.id, instances.c.digest).where(
    instances.c.series == bindparam("the_series"), instances.c.sop_uid == bindparam("uid")
)


def _key(result: Any) -> int:
    return int(result.inserted_primary_key[0])


def keep(connection: Connection, arrival: InstanceArrival) -> bool:
    """Keep one instance under its study and series. False when the same bytes were here already.

    Of the study the newest instance has the last word, so that an instance sent again with corrected data corrects the
    study; of a series the first that came, also when it is sent again.
    """
    lock(connection, f"study|{arrival.study_uid}")
    study = connection.execute(_STUDY, {"uid": arrival.study_uid}).first()
    study_row = _new_study(connection, arrival) if study is None else int(study.id)
    if not _keep_instance(connection, arrival, _series_row(connection, arrival, study_row)):
        return False
    grown = {
        "attributes": {**(study.attributes if study else {}), **arrival.study},
        "accession": arrival.accession_number or (study.accession if study else ""),
        "patient_id": arrival.patient_id or (study.patient_id if study else ""),
        "patient_issuer": arrival.patient_issuer or (study.patient_issuer if study else ""),
    }
    values = {f"the_{column}": value for column, value in grown.items()}
    connection.execute(_GROW, {"the_id": study_row, "now": arrival.received_at, **values})
    return True


def _new_study(connection: Connection, arrival: InstanceArrival) -> int:
    row = {
        "study_uid": arrival.study_uid, "accession": arrival.accession_number, "patient_id": arrival.patient_id,
        "patient_issuer": arrival.patient_issuer, "source_ae": arrival.source_ae, "attributes": arrival.study,
        "revision": 0, "settled_revision": 0, "first_at": arrival.received_at, "last_at": arrival.received_at,
    }  # fmt: skip
    return _key(connection.execute(insert(studies), row))


def _series_row(connection: Connection, arrival: InstanceArrival, study_row: int) -> int:
    stored = connection.execute(_SERIES, {"the_study": study_row, "uid": arrival.series_uid}).first()
    if stored is not None:
        return int(stored.id)
    row = {"study": study_row, "series_uid": arrival.series_uid, "attributes": arrival.series}
    return _key(connection.execute(insert(series), row))


def _keep_instance(connection: Connection, arrival: InstanceArrival, series_row: int) -> bool:
    """False when the same bytes are there."""
    stored = connection.execute(_INSTANCE, {"the_series": series_row, "uid": arrival.sop_uid}).first()
    if stored is not None and stored.digest == arrival.digest:
        return False
    values = {
        "series": series_row, "sop_uid": arrival.sop_uid, "sop_class_uid": arrival.sop_class_uid,
        "attributes": arrival.instance, "transfer_syntax_uid": arrival.transfer_syntax_uid,
        "header": zlib.compress(arrival.header, 1), "digest": arrival.digest, "received_at": arrival.received_at,
    }  # fmt: skip
    if stored is None:
        connection.execute(insert(instances), values)
        return True
    connection.execute(update(instances).where(instances.c.id == stored.id), values)
    if connection.execute(_FIRST_OF_SERIES, {"the_series": series_row}).scalar() == stored.id:
        connection.execute(update(series).where(series.c.id == series_row), {"attributes": arrival.series})
    return True


_FIRST_OF_SERIES: Final = select(func.min(instances.c.id)).where(instances.c.series == bindparam("the_series"))

_GROW: Final = (
    update(studies)
    .where(studies.c.id == bindparam("the_id"))
    .values(
        revision=studies.c.revision + 1,
        last_at=bindparam("now"),
        attributes=bindparam("the_attributes", type_=studies.c.attributes.type),
        accession=bindparam("the_accession"),
        patient_id=bindparam("the_patient_id"),
        patient_issuer=bindparam("the_patient_issuer"),
    )
)


def say_again(
    connection: Connection,
    study_uid: str,
    study: int,
    read: Mapping[int, tuple[bytes, Mapping[str, Attributes]]],
) -> bool:
    """Replace what is known of a study: `read` holds, by row of the instance, the digest of the header that was
    read and what it says at each level.

    As in `keep`, the newest instance has the last word of the study, the first of a series. False, and nothing
    changed, when the study no longer has just these instances with these headers.
    """
    lock(connection, f"study|{study_uid}")
    rows = connection.execute(
        select(instances.c.id, instances.c.series, instances.c.digest, instances.c.received_at)
        .join(series, series.c.id == instances.c.series)
        .where(series.c.study == study)
        .order_by(instances.c.id)
    ).all()
    if {row.id: row.digest for row in rows} != {one: digest for one, (digest, _) in read.items()}:
        return False
    levels = {one: attributes_sent for one, (_, attributes_sent) in read.items()}
    of_series: dict[int, Attributes] = {}
    for row in rows:
        attributes_sent = levels[row.id]
        connection.execute(
            update(instances).where(instances.c.id == row.id), {"attributes": attributes_sent["instance"]}
        )
        of_series.setdefault(row.series, attributes_sent["series"])
    for one, attributes in of_series.items():
        connection.execute(update(series).where(series.c.id == one), {"attributes": attributes})
    of_study: Attributes = {}
    for row in sorted(rows, key=lambda row: (row.received_at, row.id)):
        of_study |= levels[row.id]["study"]
    connection.execute(update(studies).where(studies.c.id == study), {"attributes": of_study})
    return True
