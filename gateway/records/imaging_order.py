"""An order as the worklist holds it: Imaging Service Request, Requested Procedures, Scheduled Procedure Steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.order import Attributes, Number, OrderedProcedure
from gateway.records.row_ids import OrderRow, PatientRow, ProcedureRow, StepRow
from gateway.records.step import StepEvent, StepState
from gateway.value_class import value_class

PROCEDURE_KEYS: Final = frozenset({"StudyInstanceUID", "RequestedProcedureID"})

NO_STUDY: Final = StudyInstanceUID("")

STEP_ID: Final = "ScheduledProcedureStepID"

START_DATE, START_TIME = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"

APPOINTMENT: Final = frozenset({
    START_DATE, START_TIME, "ScheduledStationAETitle", "ScheduledStationName", "ScheduledProcedureStepLocation",
    "ScheduledPerformingPhysicianName",
})  # fmt: skip
"""What a reschedule may change of a step."""


@value_class
class Step:
    """A Scheduled Procedure Step."""

    step_id: str
    state: StepState
    attributes: Attributes
    derived: bool
    """The step id is ours, because no message gave one."""
    unbooked_in: StepState | None = field(default=None, compare=False)
    """While its appointment is cancelled: how it stands with its order. Not stored; the step's history has it."""
    canceled_at: int = field(default=0, compare=False)
    """While it is cancelled: when, in microseconds; 0: that is not known. Not stored either."""
    row: StepRow | None = None
    """Its row in the store; None until it has one."""


@value_class
class Procedure:
    """A Requested Procedure."""

    attributes: Attributes
    derived: frozenset[str]
    """Which of `PROCEDURE_KEYS` are ours."""
    event_at: int
    """Of the newest message that spoke of it."""
    steps: tuple[Step, ...] = ()
    row: ProcedureRow | None = None

    @property
    def study_uid(self) -> StudyInstanceUID:
        return StudyInstanceUID(self.attributes["StudyInstanceUID"])


@value_class
class Order:
    """An Imaging Service Request. Without procedures it is a tombstone, or waits for the message that orders it."""

    authority: str
    """Who gave the accession number; empty: nobody knows yet."""
    sender: str
    """Whose numbers those without authority are; empty: nobody knows yet."""
    placer: Number
    filler: Number
    parent: str
    """Placer number of the order that this one is a part of."""
    attributes: Attributes = field(default_factory=dict)
    event_at: int = 0
    """Of the newest message that spoke of it."""
    moved_at: int = 0
    """Of the newest message that did something to what was ordered, such as a cancel."""
    performed_at: int = 0
    """Of the newest event of a performed step."""
    procedures: tuple[Procedure, ...] = ()
    patient: PatientRow | None = None
    row: OrderRow | None = None
    parent_filler: str = ""
    """Filler number of the order that this one is a part of, where no message gives its placer number."""
    study_uid: StudyInstanceUID = NO_STUDY
    """The earliest that a message states of it and that none of its procedures has; it leads to the order too."""

    @property
    def is_part(self) -> bool:
        """Whether it is a child (CH) of another order."""
        return bool(self.parent or self.parent_filler)

    @property
    def study_uids(self) -> set[StudyInstanceUID]:
        """All that lead to the order."""
        return {uid for uid in (self.study_uid, *(procedure.study_uid for procedure in self.procedures)) if uid}

    @property
    def accession_number(self) -> AccessionNumber:
        return AccessionNumber(self.attributes.get("AccessionNumber") or "")


@dataclass(frozen=True, slots=True)
class Arrival:
    """The patient came (ADT^A10): what is to be done on that day is ARRIVED."""

    event_at: int
    day: str
    """DA, in the site's zone."""


@value_class
class Performed:
    """A modality began or ended an examination of one step of the order (MPPS)."""

    event_at: int
    event: StepEvent
    performed_step: str
    """SOP Instance UID."""
    study_uid: str
    step_id: str


Said = OrderedProcedure | Arrival | Performed
"""Each element of an order's history."""

NO_NUMBER: Final = Number("", "")
