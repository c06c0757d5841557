"""The attributes of a Modality Performed Procedure Step that have a rule (PS3.4 Table F.7.2-1), as data.

Others may be sent, and are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Use(StrEnum):
    """What the attributes are of."""

    CREATE = "create"
    SET = "set"
    COMPLETED = "completed"
    """Of the whole performed step when it is completed."""
    DISCONTINUED = "discontinued"


class Types(NamedTuple):
    """The types that an attribute has for the modality (PS3.5 7.4)."""

    create: str
    set: str = ""
    """Empty: an N-SET may not hold it. `present 1`: with a value, if it is there."""
    final: str = ""
    """Of a performed step that has ended."""

    def of(self, use: Use) -> str:
        """The type in a request, or at the end; empty for none."""
        return {Use.CREATE: self.create, Use.SET: self.set}.get(use, self.final)


_ONCE_1, _ONCE_2, _ONCE_3 = Types("1"), Types("2"), Types("3")
_LATER_2 = Types("2", "3")
_AT_THE_END = Types("2", "present 1", "1")
_ALWAYS_1, _ALWAYS_2 = Types("1", "1", "1"), Types("2", "2", "2")

ATTRIBUTES: Final[dict[str, Types]] = {
    "SpecificCharacterSet": Types("3", "3"),
    "ScheduledStepAttributesSequence": _ONCE_1,
    "PatientName": _ONCE_2,
    "PatientID": _ONCE_2,
    "PatientBirthDate": _ONCE_2,
    "PatientSex": _ONCE_2,
    "ReferencedPatientSequence": _ONCE_2,
    "IssuerOfPatientID": _ONCE_3,
    "OtherPatientIDsSequence": _ONCE_3,
    "AdmissionID": _ONCE_3,
    "PerformedProcedureStepID": _ONCE_1,
    "PerformedStationAETitle": _ONCE_1,
    "PerformedStationName": _ONCE_2,
    "PerformedLocation": _ONCE_2,
    "PerformedProcedureStepStartDate": _ONCE_1,
    "PerformedProcedureStepStartTime": _ONCE_1,
    "PerformedProcedureStepStatus": Types("1", "present 1", "1"),
    "PerformedProcedureStepDescription": _LATER_2,
    "PerformedProcedureTypeDescription": _LATER_2,
    "ProcedureCodeSequence": _LATER_2,
    "PerformedProcedureStepEndDate": _AT_THE_END,
    "PerformedProcedureStepEndTime": _AT_THE_END,
    "PerformedProcedureStepDiscontinuationReasonCodeSequence": Types("3", "3"),
    "CommentsOnThePerformedProcedureStep": Types("3", "3"),
    "Modality": _ONCE_1,
    "StudyID": _ONCE_2,
    "PerformedProtocolCodeSequence": _LATER_2,
    "PerformedSeriesSequence": Types("2", "3", "1"),
}

NOT_OF_DISCONTINUED: Final = frozenset({"PerformedSeriesSequence"})
"""What a performed step that was discontinued need not have: it may have ended before the first image."""

ITEMS: Final[dict[str, dict[str, Types]]] = {
    "ScheduledStepAttributesSequence": {
        "StudyInstanceUID": _ONCE_1,
        "ReferencedStudySequence": _ONCE_2,
        "AccessionNumber": _ONCE_2,
        "RequestedProcedureID": _ONCE_2,
        "RequestedProcedureDescription": _ONCE_2,
        "ScheduledProcedureStepID": _ONCE_2,
        "ScheduledProcedureStepDescription": _ONCE_2,
        "ScheduledProtocolCodeSequence": _ONCE_2,
    },
    "PerformedSeriesSequence": {
        "SeriesInstanceUID": _ALWAYS_1,
        "ProtocolName": _ALWAYS_1,
        "PerformingPhysicianName": _ALWAYS_2,
        "OperatorsName": _ALWAYS_2,
        "SeriesDescription": _ALWAYS_2,
        "RetrieveAETitle": _ALWAYS_2,
        "ReferencedImageSequence": _ALWAYS_2,
        "ReferencedNonImageCompositeSOPInstanceSequence": _ALWAYS_2,
    },
}
"""Of the items of a sequence."""


NEEDED: Final = frozenset({"1", "2"})
"""Types of what must be there."""
VALUED: Final = frozenset({"1", "present 1"})
"""Types of what must have a value where it is there."""


class Rules(NamedTuple):
    """What the attributes of a request, an item or an ended performed step must have."""

    types: Mapping[str, str]
    """Keyword -> type, as far as an attribute can be missing or lack its value."""
    needed: frozenset[str]
    valued: tuple[str, ...]


def _rules(table: Mapping[str, Types], use: Use, excepted: Collection[str] = ()) -> Rules:
    stated = {keyword: types.of(use) for keyword, types in table.items() if keyword not in excepted}
    return Rules(
        {keyword: one for keyword, one in stated.items() if one in NEEDED | VALUED},
        frozenset(keyword for keyword, one in stated.items() if one in NEEDED),
        tuple(keyword for keyword, one in stated.items() if one in VALUED),
    )


RULES: Final = {use: _rules(ATTRIBUTES, use, NOT_OF_DISCONTINUED if use is Use.DISCONTINUED else ()) for use in Use}
"""Of the attributes, by what they are of."""
ITEM_RULES: Final = {use: {sequence: _rules(table, use) for sequence, table in ITEMS.items()} for use in Use}
"""The same of the items of each sequence that has rules."""
