"""Work that waits in the outbox: what it is, in which lane it waits, its states and what moves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

from gateway.errors import Fate
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.value_class import value_class


class WorkState(StrEnum):
    PENDING = "pending"
    """Due now or later; also between two tries."""
    LEASED = "leased"
    """A worker is at it until its lease ends."""
    DONE = "done"
    PARKED = "parked"
    """Needs a person: `gateway parked` lists it, `gateway replay` sends it again."""
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    """A later version of the same thing took its place before it was sent."""
    GIVEN_UP = "given-up"
    """A person decided that it is not to be done, with a note; `gateway replay` takes that back."""


class WorkEvent(StrEnum):
    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL_RETRY = Fate.RETRY.value
    FAIL_PARK = Fate.PARK.value
    FAIL_REJECT = Fate.REJECT.value
    LEASE_ENDS = "lease-ends"
    WAIT = "wait"
    """What it needs has not come yet; that is no failure."""
    SUPERSEDE = "supersede"
    REPLAY = "replay"
    GIVE_UP = "give-up"


_S, _E = WorkState, WorkEvent
TRANSITIONS: Final[dict[tuple[WorkState, WorkEvent], WorkState]] = {
    (_S.PENDING, _E.CLAIM): _S.LEASED,
    (_S.PENDING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.PENDING, _E.REPLAY): _S.PENDING,
    (_S.LEASED, _E.SUCCEED): _S.DONE,
    (_S.LEASED, _E.FAIL_RETRY): _S.PENDING,
    (_S.LEASED, _E.FAIL_PARK): _S.PARKED,
    (_S.LEASED, _E.FAIL_REJECT): _S.REJECTED,
    (_S.LEASED, _E.LEASE_ENDS): _S.PENDING,
    (_S.LEASED, _E.WAIT): _S.PENDING,
    (_S.PARKED, _E.REPLAY): _S.PENDING,
    (_S.PARKED, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.REJECTED, _E.REPLAY): _S.PENDING,
    (_S.PENDING, _E.GIVE_UP): _S.GIVEN_UP,
    (_S.PARKED, _E.GIVE_UP): _S.GIVEN_UP,
    (_S.REJECTED, _E.GIVE_UP): _S.GIVEN_UP,
    (_S.GIVEN_UP, _E.REPLAY): _S.PENDING,
}
"""A pair that is not here cannot happen: the store refuses it."""

ACTIVE: Final = (_S.PENDING, _S.LEASED)
"""States that hold a lane: later work of the same lane waits."""
STUCK: Final = (_S.PARKED, _S.REJECTED)
"""States that need a person."""


class Activity(StrEnum):
    """What is done; the station of each is named in `assembly.deliveries`."""

    SETTLE = "settle"
    """Look at a study that has been quiet."""
    REQUEST = "request"
    """Make the ServiceRequest and the Task of an order; the subject is the Study Instance UID of its first
    procedure."""
    PROCEDURE = "procedure"
    """Make the Procedure of a performed step; the subject is the Study Instance UID that the modality states."""
    SERVE = "serve"
    """Keep a study that was settled already for those who read it here; no EHR gets a delivery."""
    DELIVER = "ehr"
    """Deliver a resource to an EHR."""
    LINK = "link"
    """Ask an EHR again for what a delivered resource refers to and the EHR did not hold."""
    VERIFY = "verify"
    """Ask an EHR what it holds of a delivered resource, when what was under way at the delivery has come through."""
    STATUS = "status"
    """Tell a destination how an order stands; the subject is the Study Instance UID of the order's first procedure."""
    FORWARD = "forward"
    """Pass a received message on to a destination; the subject is a patient (`patient-17`), or where the message names
    none that is known here, the listener (`listener-ris`)."""
    MPPS = "mpps"
    """Make a modality's N-CREATE or N-SET at a destination; the subject is the Study Instance UID that the modality
    states, without one the SOP Instance UID of the performed step."""

    IAN = "ian"
    """Make an Instance Availability Notification at a destination."""
    STORE = "store"
    """Send an instance to a destination; the subject is its SOP Instance UID, so that each instance is a lane."""
    COMMITMENT = "commitment"
    """Report to who asked for storage commitment; the subject is the Transaction UID."""
    COMMIT = "commit"
    """Ask a destination for storage commitment of what it has of a study."""
    POLL = "poll"
    """Ask a source which studies it has; the subject is the name of the source."""
    FETCH = "fetch"
    """Read a study at a source that lists it."""


_OF_OTHERS: Final = (Activity.FORWARD, Activity.MPPS, Activity.STORE, Activity.COMMITMENT, Activity.POLL)


@dataclass(frozen=True, slots=True)
class WorkKind:
    """An activity and the receiver that it has, if any: no kind waits for another."""

    activity: Activity
    target: str = ""
    """Name of the EHR, for `Activity.DELIVER`, `LINK` and `VERIFY`; of the destination, for `STATUS`,
    `FORWARD`, `MPPS`, `IAN`, `STORE`, `COMMITMENT` and `COMMIT`; of the source, for `POLL` and `FETCH`."""

    def __str__(self) -> str:
        """The text in the database, in metrics and for people: `settle`, `ehr:main`."""
        return f"{self.activity}:{self.target}" if self.target else str(self.activity)

    @property
    def of_study(self) -> bool:
        """Whether the subject is a Study Instance UID: that of a message that is passed on is not."""
        return self.activity not in _OF_OTHERS

    @property
    def overtakes(self) -> bool:
        """Whether what is done makes earlier work of its lane needless: what others have stated, and is passed on, does
        not."""
        return self.activity not in (Activity.FORWARD, Activity.MPPS)

    @classmethod
    def of(cls, text: str) -> Self:
        """The kind that `str` wrote. Raises `ValueError` for an activity that does not exist."""
        activity, _, target = text.partition(":")
        return cls(Activity(activity), target)


SETTLE: Final = WorkKind(Activity.SETTLE)
REQUEST: Final = WorkKind(Activity.REQUEST)
PROCEDURE: Final = WorkKind(Activity.PROCEDURE)
SERVE: Final = WorkKind(Activity.SERVE)


def delivery_to(ehr: str) -> WorkKind:
    """The kind of the deliveries to an EHR of this name."""
    return WorkKind(Activity.DELIVER, ehr)


def links_at(ehr: str) -> WorkKind:
    """The kind of the looks for missing links at an EHR of this name."""
    return WorkKind(Activity.LINK, ehr)


def verifications_at(ehr: str) -> WorkKind:
    """The kind of the later looks at what an EHR of this name holds."""
    return WorkKind(Activity.VERIFY, ehr)


class Part(StrEnum):
    """What a lane is about, beside the study itself: each has a lane of its own, and waits for no other."""

    STUDY = ""
    ORDER = "request"
    """The ServiceRequest of the order."""
    TASK = "task"
    """The Task of the order."""
    PROCEDURE = "procedure"
    """The Procedure of a performed step."""
    PERFORMED_STEP = "performed"
    """A performed step itself."""


def performed_steps_to(destination: str) -> WorkKind:
    """The kind of the performed steps to a DICOM destination of this name."""
    return WorkKind(Activity.MPPS, destination)


def availability_to(destination: str) -> WorkKind:
    """The kind of the notifications to a DICOM destination of this name."""
    return WorkKind(Activity.IAN, destination)


def images_to(destination: str) -> WorkKind:
    """The kind of the instances to a DICOM destination of this name."""
    return WorkKind(Activity.STORE, destination)


def commitments_to(destination: str = "") -> WorkKind:
    """The kind of the storage commitment reports to a DICOM destination of this name; empty: to those who have none,
    over the associations that they have opened."""
    return WorkKind(Activity.COMMITMENT, destination)


def commitments_of(destination: str) -> WorkKind:
    """The kind of the requests for storage commitment to a DICOM destination of this name."""
    return WorkKind(Activity.COMMIT, destination)


def polls_of(source: str) -> WorkKind:
    """The kind of the questions to a source of this name, which studies it has."""
    return WorkKind(Activity.POLL, source)


def studies_at(source: str) -> WorkKind:
    """The kind of the studies that are read at a source of this name."""
    return WorkKind(Activity.FETCH, source)


def status_to(destination: str) -> WorkKind:
    """The kind of the statuses to a destination of this name."""
    return WorkKind(Activity.STATUS, destination)


def forward_to(destination: str) -> WorkKind:
    """The kind of the messages that are passed on to a destination of this name."""
    return WorkKind(Activity.FORWARD, destination)


@value_class
class Lane:
    """Rows that are worked off one after the other: of one kind, one study and one part of what it is about."""

    kind: WorkKind
    subject: StudyInstanceUID
    """Study Instance UID, but for `Activity.FORWARD`, `MPPS`, `STORE`, `COMMITMENT` and `POLL`."""
    part: Part = Part.STUDY
    performed_step: str = ""
    """SOP Instance UID, where the part is of a performed step; the row of a storage commitment that is asked for, as
    several requesters may use one Transaction UID."""

    def __str__(self) -> str:
        """The text in the database, by which rows are compared."""
        part = f"{self.part}:{self.performed_step}" if self.performed_step else str(self.part)
        return "|".join(filter(None, (str(self.kind), part, self.subject)))

    @classmethod
    def of(cls, text: str) -> Self:
        """The lane that `str` wrote. Raises `ValueError` for a text that is no lane."""
        kind, *between, subject = text.split("|")
        part, _, performed_step = "".join(between).partition(":")
        return cls(WorkKind.of(kind), StudyInstanceUID(subject), Part(part), performed_step)

    def of_looks(self) -> Self:
        """The lane of the looks for what the resource of this lane of deliveries lacks."""
        return replace(self, kind=links_at(self.kind.target))

    def of_verifications(self) -> Self:
        """The lane of the later looks at what the EHR holds of this lane's resource."""
        return replace(self, kind=verifications_at(self.kind.target))

    def of_deliveries(self) -> Self:
        """The lane of deliveries whose resource this lane of looks looks for, or at."""
        return replace(self, kind=delivery_to(self.kind.target))


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed row of the outbox."""

    id: WorkRow
    lane: Lane
    payload: dict[str, object]
    attempts: int
    """Tries begun before this one, those included that were cut off."""
    lease: str
    created_at: int
    ahead: Any = None
    """What its station wanted to be read with the claim."""

    @property
    def kind(self) -> WorkKind:
        return self.lane.kind

    @property
    def subject(self) -> StudyInstanceUID:
        """Study Instance UID."""
        return self.lane.subject
