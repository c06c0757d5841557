"""An instance that arrived: study, series, instance, growth."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

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


def keep(
    connection: Connection,
    *,
    study_uid: str,
    study: Attributes,
    accession: str,
    patient_id: str,
    patient_issuer: str,
    series_uid: str,
    series_attributes: Attributes,
    sop_uid: str,
    sop_class_uid: str,
    instance: Attributes,
    transfer_syntax_uid: str,
    header: bytes,
    digest: bytes,
    source_ae: str,
    now: int,
) -> bool:
    """Keep one instance under its study and series. False when it was here already, the same to the byte.

    Of the study the newest instance has the last word, so that one sent again with corrected data corrects it; of a
    series the first that came, also when it is sent again.
    """
    lock(connection, f"study|{study_uid}")
    found = connection.execute(_STUDY, {"uid": study_uid}).first()
    if found is None:
        row = {
            "study_uid": study_uid, "accession": accession, "patient_id": patient_id, "patient_issuer": patient_issuer,
            "source_ae": source_ae, "attributes": study, "revision": 0, "settled_revision": 0, "first_at": now,
            "last_at": now,
        }  # fmt: skip
        study_key = _key(connection.execute(insert(studies), row))
    else:
        study_key = found.id
    row_of_series = connection.execute(_SERIES, {"the_study": study_key, "uid": series_uid}).first()
    if row_of_series is None:
        new = {"study": study_key, "series_uid": series_uid, "attributes": series_attributes}
        series_key = _key(connection.execute(insert(series), new))
    else:
        series_key = row_of_series.id
    values = {
        "series": series_key, "sop_uid": sop_uid, "sop_class_uid": sop_class_uid, "attributes": instance,
        "transfer_syntax_uid": transfer_syntax_uid, "header": zlib.compress(header, 1), "digest": digest,
        "received_at": now,
    }  # fmt: skip
    known = connection.execute(_INSTANCE, {"the_series": series_key, "uid": sop_uid}).first()
    if known is not None and known.digest == digest:
        return False
    if known is not None:
        connection.execute(update(instances).where(instances.c.id == known.id), values)
        if connection.execute(_FIRST_OF_SERIES, {"the_series": series_key}).scalar() == known.id:
            connection.execute(update(series).where(series.c.id == series_key), {"attributes": series_attributes})
    else:
        connection.execute(insert(instances), values)
    attributes_sent = {
        "attributes": {**(found.attributes if found else {}), **study},
        "accession": accession or (found.accession if found else ""),
        "patient_id": patient_id or (found.patient_id if found else ""),
        "patient_issuer": patient_issuer or (found.patient_issuer if found else ""),
    }
    connection.execute(
        _GROW, {"the_id": study_key, "now": now, **{f"the_{key}": one for key, one in attributes_sent.items()}}
    )
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
