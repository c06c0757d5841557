"""The search parameters that are served, as data: for the parser, and for the CapabilityStatement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["token", "date", "reference"]


@dataclass(frozen=True, slots=True)
class Parameter:
    kind: Kind
    documentation: str
    column: str = ""
    """What the store knows it by, where that has another name."""
    from_base: str = ""
    """Where FHIR R4 defines it, if not for ImagingStudy itself."""

    def definition(self, name: str) -> str:
        return f"http://hl7.org/fhir/SearchParameter/{self.from_base or 'ImagingStudy'}-{name.removeprefix('_')}"


_BY_IDENTIFIER: Final = "by identifier: {0}:identifier=system|value or {0}.identifier=system|value"

PARAMETERS: Final = {
    "_id": Parameter("token", "the Study Instance UID", from_base="Resource"),
    "_lastUpdated": Parameter("date", "when its content changed last", from_base="Resource"),
    "identifier": Parameter(
        "token", "Study Instance UID (urn:dicom:uid|urn:oid:...), accession number, Study ID", from_base="clinical"
    ),
    "patient": Parameter("reference", _BY_IDENTIFIER.format("patient"), from_base="clinical"),
    "subject": Parameter("reference", _BY_IDENTIFIER.format("subject"), column="patient"),
    "basedon": Parameter("reference", _BY_IDENTIFIER.format("basedon")),
    "started": Parameter("date", "when the study began"),
    "modality": Parameter("token", "modality of a series"),
    "bodysite": Parameter("token", "body site of a series"),
    "series": Parameter("token", "Series Instance UID"),
    "status": Parameter("token", "available, registered, cancelled, entered-in-error or unknown"),
}
INCLUDE: Final = "ImagingStudy:endpoint"
RESULT: Final = ("_count", "_sort", "_summary", "_elements", "_include", "_total", "_format", "_page")
NO_EFFECT: Final[dict[str, frozenset[str] | None]] = {
    "_contained": frozenset({"false", "both"}),
    "_containedType": None,
    "_pretty": None,
    "_score": None,
    "_totalMethod": None,
}
"""Parameters that change neither which studies match nor what an answer holds, with the values for which this is so
(None: all): no ImagingStudy is contained in another resource here, and JSON is JSON however it is laid out."""
