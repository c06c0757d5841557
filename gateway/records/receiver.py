"""Systems that the gateway calls: EHRs, destinations and sources of studies; and their pauses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.records.windows import Windows
from gateway.records.work import Activity, WorkKind


class ReceiverType(StrEnum):
    EHR = "EHR"
    HL7 = "HL7 destination"
    DICOM = "DICOM destination"
    SOURCE = "source of studies"


ACTIVITIES: Final[dict[ReceiverType, tuple[Activity, ...]]] = {
    ReceiverType.EHR: (Activity.DELIVER, Activity.LINK, Activity.VERIFY),
    ReceiverType.HL7: (Activity.STATUS, Activity.FORWARD),
    ReceiverType.DICOM: (Activity.MPPS, Activity.IAN, Activity.STORE, Activity.COMMITMENT, Activity.COMMIT),
    ReceiverType.SOURCE: (Activity.POLL, Activity.FETCH),
}
"""What is done at each; every activity with a target is of one type."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """An EHR, a destination or a source of studies of the configuration."""

    name: str
    type: ReceiverType
    image_windows: Windows | None = None
    """Hours in which instances go there; None: at any time."""

    @property
    def kinds(self) -> tuple[WorkKind, ...]:
        """The kinds of work that have it as their target."""
        return tuple(WorkKind(activity, self.name) for activity in ACTIVITIES[self.type])

    @property
    def counted_kinds(self) -> tuple[WorkKind, ...]:
        """Those of which rows wait for something: the next poll of a source always stands there."""
        return tuple(kind for kind in self.kinds if kind.activity is not Activity.POLL)


@dataclass(frozen=True, slots=True)
class Pause:
    """A person lets the work of a receiver wait."""

    receiver: str
    since: int
    """Microseconds."""
    person: str
    note: str = ""
