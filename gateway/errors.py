"""The error tree of the gateway.

Every error carries its *fate*: what the rest of the journey does about it. The code that raises an error decides
the fate once; the edges alone turn an error into an HL7 acknowledgement code, a DIMSE status or an HTTP status, and the
worker alone turns an error into a retry, a parked row or a rejected row.

    GatewayError                PARK
    ├── Unavailable             RETRY   a database, disk or peer is away
    │   └── Unexplained                 a peer's failure without a reason; a few times
    ├── NeedsPerson             PARK    a person must decide
    ├── ConfigError             REJECT  configuration or mapping file, all faults
    └── Rejected                REJECT  the sender's to mend
        ├── Malformed                   not what the bytes claim to be
        │   └── Undecodable             bytes outside of the character set
        ├── RequiredMissing             a required value is absent
        │   └── RequiredEmpty           its attribute is there, without the value
        ├── InvalidValue                the data type forbids the value
        ├── ValueTooLong                an identifier that does not fit
        ├── UnknownSender               not on the list of senders
        ├── UnknownCode                 outside of a code table
        ├── UnsupportedType             message type or SOP class
        │   └── SyntaxNotAcceptedError  taken in other transfer syntaxes
        ├── UnsupportedEvent            trigger event
        ├── UnknownKey                  no such patient, order or study
        │   └── Gone                    deleted, or taken back
        ├── DuplicateKey                an identifier that belongs to another
        ├── Conflict                    the state forbids the event
        └── TooLarge                    beyond a limit of bytes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from gateway.value_class import value_class


class Fate(StrEnum):
    """What happens to the work that failed."""

    RETRY = "retry"
    """Try again later: nothing is wrong with the work itself."""
    PARK = "park"
    """Ambiguous, or a person must decide; kept until someone does."""
    REJECT = "reject"
    """Wrong for good: tell the sender."""


@value_class
class Place:
    """A place in an HL7 v2 message, as data type ERL names it (HL7 2.5.1 ch. 2.A.28). Numbers count from 1; 0: none.

    `str` gives the form that people read: `PID-3.1`, `MRG[2]-1`, `OBR-24 of ORC[2]`.
    """

    segment: str
    field: int = 0
    component: int = 0
    subcomponent: int = 0
    sequence: int = 0
    """Which of the segments of this name, as ERL.2."""
    group: str = ""
    """Segment that opens the group of the order, such as `ORC`, where a message holds more than one group."""
    group_number: int = 0
    """Which of those groups."""
    path: str = ""
    """How a mapping writes the place; shown in place of the numbers."""

    def __str__(self) -> str:
        text = self.path or self._numbers()
        return f"{text} of {self.group}[{self.group_number}]" if self.group_number else text

    def _numbers(self) -> str:
        text = self.segment + (f"[{self.sequence}]" if self.sequence else "")
        if self.field:
            text += f"-{self.field}"
        if self.component:
            text += f".{self.component}" + (f".{self.subcomponent}" if self.subcomponent else "")
        return text

    def at(self, field: int, component: int = 0) -> Place:
        """The place of a field of this segment."""
        return replace(self, field=field, component=component, subcomponent=0, path="")


class GatewayError(Exception):
    """Something the gateway can name. `place` says where: a `Place` of an HL7 message, else a keyword or a
    key of the configuration."""

    fate: Fate = Fate.PARK

    def __init__(self, message: str, *, place: Place | str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.details: dict[str, Any] = {}
        """What else helps whoever looks at it; JSON."""
        self.others: tuple[GatewayError, ...] = ()
        """Further faults of the same message, in the order of its parts."""

    def __str__(self) -> str:
        place = str(self.place)
        return f"{place}: {self.message}" if place else self.message


E = TypeVar("E", bound=GatewayError)


def with_fate(error: GatewayError, kind: type[E]) -> E:
    """The same fault as an error of another kind: what it comes to for the work at hand."""
    made = kind(error.message, place=error.place)
    made.details = error.details
    return made


class Unavailable(GatewayError):
    """A database, disk or peer is away; the same work may succeed later."""

    fate = Fate.RETRY

    def __init__(self, message: str, *, place: Place | str = "", retry_after: float | None = None) -> None:
        super().__init__(message, place=place)
        self.retry_after = retry_after
        """Seconds the peer asked us to wait, when it did."""


class InDoubt(Unavailable):
    """The database was asked to commit, and nothing is known of it: the work may be done."""


class Unexplained(Unavailable):
    """A peer answers with a failure that names no reason: it may pass, or be of the work itself. After a few of these a
    person is asked."""


class NeedsPerson(GatewayError):
    """Repeating would not help and dropping would lose something."""

    fate = Fate.PARK


class Rejected(GatewayError):
    """The sender's fault, or at least the sender's to mend."""

    fate = Fate.REJECT


def together(refusals: Sequence[GatewayError]) -> GatewayError:
    """The first of the faults of a message, with the others beside it, each once: a sender mends all at once."""
    distinct: dict[str, GatewayError] = {}
    for refusal in refusals:
        distinct.setdefault(str(refusal), refusal)
    first, *others = distinct.values()
    first.others = tuple(others)
    return first


class Malformed(Rejected):
    """Not readable as what it claims to be: no MSH, a broken DICOM header, a segment out of order."""


class TooManyParts(Malformed):
    """Of more parts than are read. Kept as what is too long is: not as a whole."""


class Undecodable(Malformed):
    """Bytes that the declared character set does not contain."""


class RequiredMissing(Rejected):
    """A field or attribute that must have a value has none."""


class RequiredEmpty(RequiredMissing):
    """An attribute that must have a value is there and empty."""


class InvalidValue(Rejected):
    """A value that its data type does not allow."""


class ValueTooLong(Rejected):
    """An identifier that does not fit the DICOM value representation it is bound for; never cut silently."""


class UnknownSender(Rejected):
    """A sending application and facility that this listener does not take messages of."""


class UnknownCode(Rejected):
    """A coded value outside its table."""


class UnsupportedType(Rejected):
    """A message type or SOP class that the gateway does not serve."""


class SyntaxNotAcceptedError(UnsupportedType):
    """The receiver takes the SOP class of an instance, but not in its transfer syntax."""

    def __init__(self, accepted: Sequence[str], *, place: str) -> None:
        super().__init__("the SOP Class is accepted in other transfer syntaxes only", place=place)
        self.accepted = tuple(accepted)
        """Transfer syntaxes that the receiver takes, Explicit before Implicit VR Little Endian."""


class UnsupportedEvent(Rejected):
    """A trigger event that the gateway does not serve."""


class UnknownKey(Rejected):
    """The patient, order or study that the sender speaks of does not exist here."""


class Gone(UnknownKey):
    """What the sender speaks of was here, and was deleted or taken back."""


class DuplicateKey(Rejected):
    """An identifier that must be one thing's alone already belongs to another."""


class Conflict(Rejected):
    """Understood, but the state of what it speaks of forbids it."""


class TooLarge(Rejected):
    """Beyond the limit of bytes that the configuration allows."""


@dataclass(frozen=True, slots=True)
class SettingFault:
    """A fault of a setting whose value was read, but cannot be used."""

    section: str
    """The section and the name of the entry, such as `ehrs main`."""
    text: str

    def __str__(self) -> str:
        return f"{self.section}: {self.text}"


class ConfigError(GatewayError):
    """The configuration or a mapping file is wrong. Holds every fault found, not just the first."""

    fate = Fate.REJECT

    def __init__(self, faults: Sequence[str | SettingFault]) -> None:
        self.causes: Sequence[str | SettingFault] = faults
        """The faults as they were raised; `faults` are their texts."""
        self.faults = [str(fault) for fault in faults]
        super().__init__("\n".join(self.faults))
