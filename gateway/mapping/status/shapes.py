"""Which segments a status holds, by the type of its message, in the order of the abstract syntax (HL7 ch. 4, 7, 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class MessageShape:
    """The segments of one type of message; a segment without a value of its own is left out."""

    structure: str
    """MSH-9.3."""
    group: tuple[str, ...]
    """Of each group, in this order."""
    lead: tuple[str, ...] = ()
    """Before the patient."""
    of_steps: tuple[str, ...] = ()
    """At the end of a group, once for each scheduled step; with them, a group is a Requested Procedure, not a step."""
    required: frozenset[str] = frozenset({"PID"})
    """Written even where their values are the mapping's own."""

    @property
    def segments(self) -> tuple[str, ...]:
        """All that it may hold but MSH."""
        return (*self.lead, *PATIENT, *self.group, *self.of_steps)


PATIENT: Final = ("PID", "PV1")
_ORDER: Final = frozenset({"PID", "ORC", "OBR"})
SHAPES: Final = {
    "ORM^O01": MessageShape("ORM_O01", ("ORC", "OBR", "ZDS"), required=_ORDER),
    "OMG^O19": MessageShape("OMG_O19", ("ORC", "TQ1", "OBR"), required=_ORDER),
    "OMI^O23": MessageShape("OMI_O23", ("ORC", "TQ1", "OBR"), of_steps=("IPC",), required=_ORDER | {"IPC"}),
    "ORU^R01": MessageShape("ORU_R01", ("ORC", "OBR", "OBX"), required=_ORDER),
    "SIU^S14": MessageShape("SIU_S12", ("RGS", "AIS"), lead=("SCH",), required=frozenset({"SCH", "PID", "RGS", "AIS"})),
}
"""MSH-9.1 and .2 -> its segments."""
FIRST_VERSION: Final = {"TQ1": (2, 5), "IPC": (2, 5), "SCH-26": (2, 5), "SCH-27": (2, 5)}
"""HL7 version in which a segment or field came; earlier messages go without it."""
SEGMENTS: Final = tuple(dict.fromkeys(name for shape in SHAPES.values() for name in shape.segments))
