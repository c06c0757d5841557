"""Whose study it is: the patients whom its instances name, as they are called today, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, RowMapping

from gateway.records.order import Attributes
from gateway.records.order_check import TiedBy
from gateway.records.patient import IDENTITY, Identity
from gateway.records.study import Series
from gateway.store import patients, study_orders
from gateway.store.study_orders import Tied


def identities(connection: Connection, all_series: Iterable[Series]) -> frozenset[Identity]:
    """The patients whom instances name, each under the survivor's Patient ID."""
    stated = {
        (str(one.attributes.get("PatientID") or ""), str(one.attributes.get("IssuerOfPatientID") or ""))
        for of_series in all_series
        for one in of_series.instances
    }
    named = frozenset(Identity(*one) for one in stated)
    return named if len(named) < 2 else frozenset(patients.identity_today(connection, one) for one in named)


def patient_today(connection: Connection, row: RowMapping, tied: Sequence[Tied]) -> tuple[Identity, Attributes]:
    """The patient of a study, and its attributes under that Patient ID.

    The survivor of a merge takes the place of the patient; where the images have no Patient ID, the patient of the
    study's order does.
    """
    named, attributes = Identity(row["patient_id"], row["patient_issuer"]), row["attributes"]
    if named.patient_id:
        survivor, known = patients.merged_into(connection, named), "attributes"
    else:
        ordered, known = study_orders.patient_meant(tied), "patient_attributes"
        survivor = dict(ordered) if ordered is not None else None
    if survivor is None:
        return named, attributes
    today = Identity(survivor["patient_id"], survivor["issuer"])
    return today, _of_survivor(attributes, survivor[known], today)


def _of_survivor(study: Attributes, patient: Attributes, identity: Identity) -> Attributes:
    """What a header says of its study, under the patient into whom its own was merged."""
    changed = {key: value for key, value in study.items() if key not in IDENTITY}
    changed["PatientID"] = identity.patient_id
    if identity.issuer:
        changed["IssuerOfPatientID"] = identity.issuer
    known = ("PatientName", "IssuerOfPatientIDQualifiersSequence")
    return changed | {key: patient[key] for key in known if key in patient}


def named_as_ordered(attributes: Attributes, linked: Sequence[Tied]) -> Attributes:
    """What a header says, with the name of the patient as it was ordered and registered: a console leaves out or
    replaces what it cannot display."""
    ours = study_orders.patient_of([one for one in linked if one.order.tied_by is not TiedBy.HAND])
    name = ours["patient_attributes"].get("PatientName") if ours is not None else None
    return {**attributes, "PatientName": name} if name else attributes
