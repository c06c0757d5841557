"""Where the paths of `corrections.yaml` look: the instance itself, its patient as of today, its order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.mapping.attributes import look
from gateway.mapping.language.values import vr_of
from gateway.records.order import Attributes

SURVIVOR: Final = "survivor"
SCOPES: Final = ("patient", SURVIVOR, "order")
"""What a path may begin with; without one of them it looks into the instance."""


@dataclass(frozen=True, slots=True)
class CorrectionScope:
    """What is known of an instance."""

    own: Attributes
    patient: Attributes
    order: Attributes

    def value(self, path: str) -> Any:
        """What stands at `path`; None: nothing."""
        scope, keywords = split(path)
        return look(self._attributes(scope), keywords)

    def _attributes(self, scope: str) -> Attributes:
        """A survivor is the patient of an instance that does not name its patient by the Patient ID of today."""
        named = str(self.own.get("PatientID") or "")
        is_survivor = bool(self.patient) and named != self.patient.get("PatientID")
        scopes: Mapping[str, Attributes] = {
            "": self.own, "patient": self.patient, SURVIVOR: self.patient if is_survivor else {}, "order": self.order,
        }  # fmt: skip
        return scopes[scope]


def split(path: str) -> tuple[str, str]:
    """(scope, keywords): `order` and `AccessionNumber` of `order.AccessionNumber`."""
    scope, _, rest = path.partition(".")
    return (scope, rest) if scope in SCOPES else ("", path)


def check(path: str) -> str | None:
    """What is wrong with a path, None if nothing."""
    *sequences, last = split(path)[1].split(".")
    for keyword in (*sequences, last):
        if not vr_of(keyword):
            return f"{keyword!r} is no DICOM attribute, and {path!r} no path such as survivor.PatientID or StationName"
    for keyword in sequences:
        if vr_of(keyword) != "SQ":
            return f"{keyword!r} is no sequence, so nothing can stand in it"
    return None
