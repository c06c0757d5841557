"""The Scheduled Procedure Step: its states, the events that move it, and the table that says how.

The internal states are more than DICOM's: PS3.3 Table C.4-10 defines SCHEDULED, ARRIVED, READY, STARTED and DEPARTED
for Scheduled Procedure Step Status (0040,0020). `PUBLISHED` gives the term that a worklist answer carries.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class StepState(StrEnum):
    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    HELD = "HELD"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELED = "CANCELED"


class StepEvent(StrEnum):
    NEW = "new"
    """ORC-1 NW, SN, RO, CH."""
    CHANGE = "change"
    """ORC-1 XO, XX."""
    ENSURE = "ensure"
    """A status that makes the order where it has not come, and moves no step; no ORC-1 of ours, but a site's."""
    ARRIVE = "arrive"
    """The patient is here (ADT^A10, or a RIS status)."""
    CANCEL = "cancel"
    """ORC-1 CA, OC, RP, RU, RQ."""
    DISCONTINUE = "discontinue"
    """ORC-1 DC, OD."""
    HOLD = "hold"
    """ORC-1 HD, OH."""
    RELEASE = "release"
    """ORC-1 RL, OE."""
    COMPLETE = "complete"
    """ORC-5 CM; ORU^R01."""
    STATUS = "status"
    """ORC-1 SC with an ORC-5 that moves nothing: scheduled, in process, some results."""
    RESCHEDULE = "reschedule"
    """SIU^S12, S13, S14: another time, room or station for what was ordered."""
    CANCEL_APPOINTMENT = "cancel-appointment"
    """SIU^S15, S26: the appointment is cancelled, the order stands."""
    PARENT = "parent"
    """ORC-1 PA: the order is to be carried out as its children."""
    RESPONSE = "response"
    """An answer to something that the gateway never asked."""
    PPS_START = "pps-start"
    """MPPS N-CREATE IN PROGRESS."""
    PPS_COMPLETE = "pps-complete"
    """MPPS N-SET COMPLETED."""
    PPS_DISCONTINUE = "pps-discontinue"
    """MPPS N-SET DISCONTINUED."""
    PPS_WRONG_ENTRY = "pps-wrong-entry"
    """MPPS N-SET DISCONTINUED because the wrong worklist entry was chosen (DCM 110514)."""
    PPS_SILENT = "pps-silent"
    """The site's rule ends a performed step whose modality gives no sign of life (PS3.4 F.7.2.2: the SCP may)."""


class RefusedEvent:
    """The event is understood and may not happen in this state; the error names the reason."""

    def __init__(self, why: str) -> None:
        self.why = why


_RUNNING = RefusedEvent("the examination is in progress")
_S, _E = StepState, StepEvent
_OPEN = (_S.SCHEDULED, _S.ARRIVED, _S.READY)
_PPS: Final[dict[tuple[StepState, StepEvent], StepState | RefusedEvent]] = {
    (state, event): outcome
    for state in _S
    for event, outcome in (
        (_E.PPS_START, _S.STARTED),
        (_E.PPS_COMPLETE, _S.COMPLETED),
        (_E.PPS_DISCONTINUE, _S.DISCONTINUED),
    )
}
"""What a modality did is a fact: it moves the step from wherever the paperwork had left it."""

TRANSITIONS: Final[dict[tuple[StepState, StepEvent], StepState | RefusedEvent]] = {
    **_PPS,
    # What was chosen by mistake has not been begun; that the order was cancelled meanwhile holds.
    **{(state, _E.PPS_WRONG_ENTRY): state for state in _S},
    (_S.STARTED, _E.PPS_WRONG_ENTRY): _S.SCHEDULED,
    # What a rule supposes ends what runs, and nothing else.
    **{(state, _E.PPS_SILENT): state for state in _S},
    (_S.STARTED, _E.PPS_SILENT): _S.DISCONTINUED,
    # After the end only a new performed step (append case) moves a step again.
    (_S.COMPLETED, _E.PPS_COMPLETE): _S.COMPLETED,
    (_S.COMPLETED, _E.PPS_DISCONTINUE): _S.COMPLETED,
    (_S.DISCONTINUED, _E.PPS_COMPLETE): _S.DISCONTINUED,
    (_S.DISCONTINUED, _E.PPS_DISCONTINUE): _S.DISCONTINUED,
    **{
        (state, event): outcome
        for state in _OPEN
        for event, outcome in (
            (_E.NEW, state),
            (_E.CHANGE, state),
            (_E.ARRIVE, _S.READY if state is _S.READY else _S.ARRIVED),
            (_E.CANCEL, _S.CANCELED),
            (_E.CANCEL_APPOINTMENT, _S.CANCELED),
            (_E.DISCONTINUE, _S.CANCELED),
            (_E.HOLD, _S.HELD),
            (_E.RELEASE, state),
            (_E.COMPLETE, _S.COMPLETED),
        )
    },
    # Who only tells how an order stands moves no step: that it runs is the modality's to say (MPPS).
    **{(state, event): state for state in _S for event in (_E.STATUS, _E.ENSURE, _E.PARENT, _E.RESPONSE)},
    # An appointment brings nothing back that its order has ended; of a cancelled appointment: `Step.unbooked_in`.
    **{(state, _E.RESCHEDULE): state for state in _S},
    (_S.HELD, _E.NEW): _S.HELD,
    (_S.HELD, _E.CHANGE): _S.HELD,
    (_S.HELD, _E.ARRIVE): _S.HELD,
    (_S.HELD, _E.CANCEL): _S.CANCELED,
    (_S.HELD, _E.CANCEL_APPOINTMENT): _S.CANCELED,
    (_S.HELD, _E.DISCONTINUE): _S.CANCELED,
    (_S.HELD, _E.HOLD): _S.HELD,
    (_S.HELD, _E.RELEASE): _S.SCHEDULED,
    (_S.HELD, _E.COMPLETE): _S.COMPLETED,
    (_S.STARTED, _E.NEW): _S.STARTED,
    (_S.STARTED, _E.CHANGE): _S.STARTED,
    (_S.STARTED, _E.ARRIVE): _S.STARTED,
    (_S.STARTED, _E.CANCEL): _RUNNING,
    (_S.STARTED, _E.CANCEL_APPOINTMENT): _RUNNING,
    # A discontinued order stops what has not begun; what runs is the modality's to end.
    (_S.STARTED, _E.DISCONTINUE): _S.STARTED,
    (_S.STARTED, _E.HOLD): _RUNNING,
    (_S.STARTED, _E.RELEASE): _S.STARTED,
    (_S.STARTED, _E.COMPLETE): _S.COMPLETED,
    **{
        (state, event): state
        for state in (_S.COMPLETED, _S.DISCONTINUED)
        for event in (
            _E.NEW,
            _E.CHANGE,
            _E.ARRIVE,
            _E.CANCEL,
            _E.CANCEL_APPOINTMENT,
            _E.DISCONTINUE,
            _E.HOLD,
            _E.RELEASE,
            _E.COMPLETE,
        )
    },
    # A newer NW or XO brings a cancelled step back; an older one never gets this far (see `scheduling`).
    (_S.CANCELED, _E.NEW): _S.SCHEDULED,
    (_S.CANCELED, _E.CHANGE): _S.SCHEDULED,
    (_S.CANCELED, _E.ARRIVE): _S.CANCELED,
    (_S.CANCELED, _E.CANCEL): _S.CANCELED,
    (_S.CANCELED, _E.CANCEL_APPOINTMENT): _S.CANCELED,
    (_S.CANCELED, _E.DISCONTINUE): _S.CANCELED,
    (_S.CANCELED, _E.HOLD): _S.CANCELED,
    (_S.CANCELED, _E.RELEASE): _S.CANCELED,
    (_S.CANCELED, _E.COMPLETE): _S.COMPLETED,
}

FROZEN: Final = frozenset({_S.STARTED, _S.COMPLETED, _S.DISCONTINUED})
"""States in which an order message no longer changes what a step says: the modality has copied it by then."""

PUBLISHED: Final[dict[StepState, str]] = {
    _S.SCHEDULED: "SCHEDULED",
    _S.ARRIVED: "ARRIVED",
    _S.READY: "READY",
    _S.HELD: "SCHEDULED",
    _S.STARTED: "STARTED",
    _S.COMPLETED: "DEPARTED",
    _S.DISCONTINUED: "DEPARTED",
    _S.CANCELED: "DEPARTED",
}
"""Internal state -> a Defined Term of (0040,0020), PS3.3 Table C.4-10."""

ORDER_EVENTS: Final = (
    _E.NEW, _E.CHANGE, _E.ENSURE, _E.ARRIVE, _E.CANCEL, _E.DISCONTINUE, _E.HOLD, _E.RELEASE, _E.COMPLETE, _E.STATUS,
    _E.PARENT, _E.RESPONSE,
)  # fmt: skip
"""What the order control of a message (ORC-1, ORC-5) may be to a step."""

CREATES: Final = frozenset({_E.NEW, _E.CHANGE, _E.ENSURE})
"""Events that may bring an order into being; the others speak of one that should exist."""

BOOKS: Final = frozenset({_E.NEW, _E.CHANGE, _E.RESCHEDULE})
"""Events after which a cancelled appointment is made again."""

APPOINTMENTS: Final[dict[str, StepEvent]] = {
    "S12": _E.RESCHEDULE,
    "S13": _E.RESCHEDULE,
    "S14": _E.RESCHEDULE,
    "S15": _E.CANCEL_APPOINTMENT,
    "S26": _E.CANCEL_APPOINTMENT,
}
"""MSH-9.2 of SIU -> event. S26: the patient did not come."""

RESULTS: Final = frozenset({"P", "R", "F", "C"})
"""OBR-25 (table 0123) of a report that nobody can write before the examination is done."""
