"""What the store knows of instances when they are sent: the patient as of today, the order that is answered."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from gateway.records.correction import InstanceFacts
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.patient import Identity
from gateway.store import orders, patients
from gateway.store.schema import instances, procedures, series, studies

_INSTANCES: Final = (
    select(
        instances.c.id, instances.c.attributes, instances.c.header, instances.c.transfer_syntax_uid,
        studies.c.study_uid, studies.c.accession, studies.c.source_ae,
    )
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
)  # fmt: skip
_PROCEDURES: Final = select(procedures.c.study_uid, procedures.c.attributes)


def of_instances(connection: Connection, rows: Sequence[int]) -> dict[int, InstanceFacts]:
    """Row of `instances` -> what is known of it."""
    found = connection.execute(_INSTANCES.where(instances.c.id.in_(rows))).mappings()
    known: dict[tuple[Any, ...], tuple[Attributes, Attributes]] = {}
    return {row["id"]: _facts(connection, row, known) for row in found}


def _facts(
    connection: Connection, row: RowMapping, known: dict[tuple[Any, ...], tuple[Attributes, Attributes]]
) -> InstanceFacts:
    """`known`: what was asked for already; instances of a study mostly ask for the same."""
    # The patient of the instance itself: a study may hold instances of two.
    stated = (str(row["attributes"].get(one) or "") for one in ("PatientID", "IssuerOfPatientID"))
    question = (row["study_uid"], row["accession"], *stated)
    if question not in known:
        known[question] = _patient_and_order(connection, *question)
    return InstanceFacts(
        zlib.decompress(row["header"]), row["transfer_syntax_uid"], row["source_ae"], *known[question]
    )  # fmt: skip


def _patient_and_order(
    connection: Connection, study_uid: StudyInstanceUID, accession: AccessionNumber, patient_id: str, issuer: str
) -> tuple[Attributes, Attributes]:
    patient = _patient(connection, study_uid, accession, Identity(patient_id, issuer))
    named = Identity(patient_id, issuer) if patient is None else Identity(patient["patient_id"], patient["issuer"])
    found = orders.linked(
        connection, study_uid=study_uid, accession_number=accession, patient_id=named.patient_id, issuer=named.issuer
    )
    of_patient: Attributes = {}
    if patient is not None:
        of_patient = {**patient["attributes"], "PatientID": named.patient_id, "IssuerOfPatientID": named.issuer}
    return of_patient, _order(connection, study_uid, {row["id"]: row for row in found})


def _patient(
    connection: Connection, study_uid: StudyInstanceUID, accession: AccessionNumber, named: Identity
) -> Any | None:
    """The patient to whom the Patient ID of an instance leads today; without one, the patient of its order."""
    if not named.patient_id:
        return orders.patient_of(connection, study_uid=study_uid, accession_number=accession)
    return patients.today(connection, named)


def _order(connection: Connection, study_uid: StudyInstanceUID, found: dict[int, RowMapping]) -> Attributes:
    """The attributes of the one order among these, and of its requested procedure; of several none is the right one."""
    if len(found) != 1:
        return {}
    [order] = found.values()
    of_order = connection.execute(_PROCEDURES.where(procedures.c.order == order["id"])).all()
    mine = [one for one in of_order if one.study_uid == study_uid] or (of_order if len(of_order) == 1 else [])
    of_procedure: Attributes = mine[0].attributes if mine else {}
    return {**order["attributes"], **of_procedure, "AccessionNumber": order["accession"]}
