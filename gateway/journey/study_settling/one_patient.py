"""A study is of one patient, or a person must look at it."""

from __future__ import annotations

from gateway.errors import NeedsPerson
from gateway.records.rejection import standing
from gateway.records.study import Study


def one_patient(study: Study) -> None:
    """Raise `NeedsPerson` when the instances of a study name more than one patient, or none and its orders several. Not
    of a study that is in error as a whole: EHRs must get to know that, whosever it was."""
    if standing(study).entered_in_error:
        return
    ids = {one.patient_id for one in study.identities if one.patient_id}
    issuers = {one.issuer for one in study.identities if one.issuer}
    if len(ids) > 1 or len(issuers) > 1:
        raise NeedsPerson(
            f"its instances name {max(len(ids), len(issuers))} patients; correct them in the PACS and send "
            "them again, or exclude those of another patient",
            place="PatientID",
        )
    ordered = {one.side.patient for one in study.claimed}
    if len(ordered) > 1 and not study.attributes.get("PatientID"):
        raise NeedsPerson(
            f"its images have no Patient ID, and its orders are of {len(ordered)} patients: link it with the right one",
            place="PatientID",
        )
