"""The event of the audit trail that a delivery to an EHR is."""

from __future__ import annotations

from typing import Any

from gateway.records.audit import Actor, ActorKind, AuditEvent, exported
from gateway.records.delivery import STUDY_SYSTEM, UID_PREFIX


def event_of_delivery(
    ehr: str, resource: dict[str, Any], patient: dict[str, Any] | None, outcome: dict[str, Any], moment: int
) -> AuditEvent:
    """`resource` was written as `outcome` states."""
    identifiers = [one for one in resource.get("identifier") or () if one.get("value")]
    studies = [one["value"].removeprefix(UID_PREFIX) for one in identifiers if one.get("system") == STUDY_SYSTEM]
    return exported(
        Actor(ehr, ActorKind.EHR), moment, patients=_patients(resource, patient), studies=tuple(studies),
        resource=f"{resource.get('resourceType')}/{outcome.get('id', '')}", status=str(outcome.get("status", "")),
        version=str(outcome.get("version") or ""), request=str(outcome.get("request") or ""),
    )  # fmt: skip


def _patients(resource: dict[str, Any], patient: dict[str, Any] | None) -> tuple[str, ...]:
    """Patient IDs of the subject, by its identifier or by the Patient that goes with the delivery."""
    subject = resource.get("subject") or resource.get("patient") or resource.get("for") or {}
    values = [(subject.get("identifier") or {}).get("value")] if isinstance(subject, dict) else []
    values += [one.get("value") for one in (patient or {}).get("identifier") or ()]
    return tuple(dict.fromkeys(str(value) for value in values if value))
