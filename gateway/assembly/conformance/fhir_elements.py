"""The resources that the gateway writes to an EHR, with the elements that each may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.config.ehrs import Ehr
from gateway.records.study import Release

ELEMENTS: Final[Mapping[str, Mapping[Release, tuple[str, ...]]]] = {
    "DocumentReference": {
        "R4": ("identifier", "masterIdentifier", "status", "type", "category", "subject", "description", "content",
               "context"),
        "R5": ("identifier", "status", "type", "category", "subject", "description", "content", "modality", "bodySite",
               "basedOn", "context", "period"),
    },
    "ServiceRequest": {
        "R4": ("identifier", "status", "intent", "category", "priority", "code", "subject", "encounter",
               "occurrenceDateTime", "authoredOn", "requester", "reasonCode"),
        "R5": ("identifier", "status", "intent", "category", "priority", "code", "subject", "encounter",
               "occurrenceDateTime", "authoredOn", "requester", "reason"),
    },
    "Task": dict.fromkeys(
        ("R4", "R5"),
        ("identifier", "basedOn", "status", "intent", "code", "focus", "for", "encounter", "executionPeriod",
         "authoredOn"),
    ),
    "Procedure": {
        "R4": ("identifier", "basedOn", "status", "category", "code", "subject", "encounter", "performedPeriod",
               "performer", "location", "note"),
        "R5": ("identifier", "basedOn", "status", "category", "code", "subject", "encounter", "occurrencePeriod",
               "performer", "location", "note"),
    },
    "Patient": dict.fromkeys(("R4", "R5"), ("identifier", "active", "name", "gender", "birthDate")),
}  # fmt: skip
"""Resource type -> the elements that code gives it; those of ImagingStudy stand in its mapping file."""
CAUSES: Final = {
    "ImagingStudy": "a study that has settled, or changed since",
    "DocumentReference": "a study that has settled, or changed since: a link to the viewer",
    "ServiceRequest": "an order of the RIS, and each change of it",
    "Task": "an order of the RIS, and each step of its examination",
    "Procedure": "a performed step (MPPS) that is completed",
    "Patient": "a patient of a study whom the EHR does not have",
}
"""Resource type -> what makes the gateway write it."""


def written_to(ehr: Ehr) -> tuple[str, ...]:
    """The resource types that an EHR gets from the gateway."""
    wanted = {
        ehr.resource: True,
        "ServiceRequest": ehr.orders == "write",
        "Task": ehr.tasks == "write",
        "Procedure": ehr.procedures == "write",
        "Patient": ehr.patient == "create",
    }
    return tuple(kind for kind, is_wanted in wanted.items() if is_wanted)


def looked_for_at(ehr: Ehr) -> tuple[str, ...]:
    """The resource types that are searched there for a link, and not written."""
    wanted = {"Patient": ehr.patient == "find", "ServiceRequest": ehr.orders == "find"}
    return tuple(kind for kind, is_wanted in wanted.items() if is_wanted)
