"""Who may send messages to a listener, which types are taken, and how each sender is read and answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.errors import Place, UnsupportedEvent, UnsupportedType
from gateway.mapping.orders.functions import Settings
from gateway.records.patient import PATIENT_EVENTS
from gateway.records.step import APPOINTMENTS
from gateway.wire.hl7.message import Message

SERVED: Final = frozenset(
    {("ORM", "O01"), ("OMI", "O23"), ("OMG", "O19"), ("ORU", "R01")}
    | {("SIU", trigger) for trigger in APPOINTMENTS}
    | {("ADT", trigger) for trigger in PATIENT_EVENTS}
)
"""MSH-9.1 and MSH-9.2 of the messages that mean something to the worklist."""


@dataclass(frozen=True, slots=True)
class SenderRule:
    """How the messages of one sending application and facility are read and answered."""

    settings: Settings
    application: str = ""
    """MSH-3.1; empty: any."""
    facility: str = ""
    """MSH-4.1; empty: any."""
    charset: str = ""
    """Of messages that declare none."""
    override_charset: str = ""
    """Of all messages, whatever MSH-18 says."""
    undecodable: Literal["reject", "replace"] = "reject"
    message_types: frozenset[tuple[str, str]] = SERVED
    """(MSH-9.1, MSH-9.2) of what is taken; an empty trigger stands for all."""
    unserved: Literal["reject", "store"] = "reject"
    """What to do with a message of another type: answer AR, or keep it and answer AA."""
    training: Literal["keep", "apply"] = "keep"
    """Whether messages for training and debugging (MSH-11 T, D) are only kept and answered, or applied."""
    acknowledge: Literal["original", "enhanced"] = "original"
    """HL7 2.5.1 ch. 2.9.2 and 2.9.3."""
    conformance: Literal["off", "warn", "reject"] = "off"
    conformance_version: str = ""
    """HL7 version whose structure is checked; empty: the one that MSH-12 declares."""

    def is_of(self, application: str, facility: str) -> bool:
        return self.application in ("", application) and self.facility in ("", facility)


@dataclass(frozen=True, slots=True)
class ListenerSource:
    """Who sends to one listener."""

    name: str
    senders: Sequence[SenderRule]
    """The first that a message is of tells how it is read; of none, it is refused."""
    close_on_failure: bool = False


def is_taken(message: Message, sender: SenderRule) -> bool:
    """Whether the message is to be applied. Raises `UnsupportedType` and `UnsupportedEvent`."""
    kind, trigger = message.type, message.trigger
    taken = sender.message_types
    if (kind, trigger) in SERVED and ((kind, trigger) in taken or (kind, "") in taken):
        return True
    if sender.unserved == "store":
        return False
    served = sorted(one for one in SERVED if one in taken or (one[0], "") in taken)
    if kind not in {one for one, _ in served}:
        known = ", ".join(dict.fromkeys(one for one, _ in served))
        text = f"message type {kind or '(empty)'!r} is not served; this listener takes {known}"
        raise UnsupportedType(text, place=Place("MSH", 9, 1))
    known = ", ".join(one for of, one in served if of == kind)
    text = f"trigger {trigger or '(empty)'!r} of {kind} is not served; this listener takes {known}"
    raise UnsupportedEvent(text, place=Place("MSH", 9, 2))
