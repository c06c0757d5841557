"""A delivery: the contents of work that brings a resource to an EHR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from gateway.records.identifiers import StudyInstanceUID

STUDY_SYSTEM: Final = "urn:dicom:uid"
UID_PREFIX: Final = "urn:oid:"


def identifier_of_study(study_uid: StudyInstanceUID) -> str:
    """`system|value` by which an EHR is asked for the resources of a study."""
    return f"{STUDY_SYSTEM}|{UID_PREFIX}{study_uid}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A FHIR resource that is due at an EHR."""

    resource: dict[str, Any]
    digest: str
    """SHA-256 of the resource, as hex: a delivery of the same digest is not repeated."""
    identifier: str
    """`system|value` by which the EHR is asked for the resource; empty: the Study Instance UID."""
    revision: int | None = None
    """Of the study, for an ImagingStudy or DocumentReference."""
    patient: dict[str, Any] | None = None
    """The Patient to be created where the EHR does not know the patient and lets us create Patients."""

    def as_payload(self) -> dict[str, Any]:
        """The JSON that the outbox keeps."""
        payload = {"resource": self.resource, "digest": self.digest}
        optional = {"identifier": self.identifier or None, "revision": self.revision, "patient": self.patient}
        return payload | {key: value for key, value in optional.items() if value is not None}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        """The delivery that `as_payload` wrote. Raises `KeyError` for a payload without a resource."""
        return cls(
            payload["resource"], str(payload.get("digest", "")), str(payload.get("identifier", "")),
            payload.get("revision"), payload.get("patient"),
        )  # fmt: skip
