"""Events of the audit trail: who did what, when, to which patients; the events of DICOM PS3.15 A.5."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from enum import IntEnum, StrEnum
from typing import Any, Final

import orjson

from gateway.value_class import value_class

MOST_PATIENTS: Final = 200
"""Of one event; a list that shows more states in `detail` how many more."""


class AuditKind(StrEnum):
    """The event (EventID, CID 400)."""

    APPLICATION_ACTIVITY = "application activity"
    AUDIT_LOG_USED = "audit log used"
    BEGINNING_TRANSFER = "beginning transfer"
    INSTANCES_ACCESSED = "instances accessed"
    INSTANCES_TRANSFERRED = "instances transferred"
    DATA_EXPORT = "data export"
    DATA_IMPORT = "data import"
    ORDER_RECORD = "order record"
    PATIENT_RECORD = "patient record"
    PROCEDURE_RECORD = "procedure record"
    QUERY = "query"
    SECURITY_ALERT = "security alert"
    USER_AUTHENTICATION = "user authentication"


class AuditType(StrEnum):
    """What the event is in particular (EventTypeCode, CID 401)."""

    NONE = ""
    START = "start"
    STOP = "stop"
    LOGIN = "login"
    LOGOUT = "logout"
    NODE_AUTHENTICATION = "node authentication"
    NETWORK_CONFIGURATION = "network configuration"
    SECURITY_CONFIGURATION = "security configuration"
    SOFTWARE_CONFIGURATION = "software configuration"
    USE_OF_RESTRICTED_FUNCTION = "use of restricted function"
    AUDIT_RECORDING_STOPPED = "audit recording stopped"
    AUDIT_RECORDING_STARTED = "audit recording started"


class Action(StrEnum):
    """EventActionCode."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(IntEnum):
    """EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


class ActorKind(StrEnum):
    """What takes part."""

    PERSON = "person"
    RIS = "RIS"
    SCANNER = "scanner"
    ARCHIVE = "archive"
    EHR = "EHR"
    CLIENT = "client"
    """Who is neither of these, or not known to be."""
    GATEWAY = "gateway"


@value_class
class Actor:
    """Who takes part in an event."""

    name: str
    """Login of a person, MSH-3|MSH-4, AE title, name of an EHR in the configuration."""
    kind: ActorKind
    address: str = ""
    """IP address or host name."""
    role: str = ""
    """Of a person: viewer, operator or admin."""


GATEWAY: Final = Actor("gateway", ActorKind.GATEWAY)


@value_class
class AuditEvent:
    """One event. A value that is not known stays empty."""

    kind: AuditKind
    action: Action
    moment: int
    """Microseconds since 1970 UTC."""
    actor: Actor
    """Who began it: who sent, asked, looked or pressed."""
    type: AuditType = AuditType.NONE
    outcome: Outcome = Outcome.SUCCESS
    peer: Actor | None = None
    """The other side; None: the gateway itself."""
    patients: tuple[str, ...] = ()
    """Patient IDs, at most `MOST_PATIENTS`."""
    studies: tuple[str, ...] = ()
    """Study Instance UIDs."""
    accession_numbers: tuple[str, ...] = ()
    note: str = ""
    """A sentence for people, or empty."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """By names of the event: number of instances, SOP class, query."""


def exported(
    peer: Actor,
    moment: int,
    *,
    patients: tuple[str, ...] = (),
    studies: tuple[str, ...] = (),
    accession_numbers: tuple[str, ...] = (),
    **detail: str,
) -> AuditEvent:
    """The gateway has brought data to `peer`. `_` in the name of a detail stands for a space."""
    return AuditEvent(
        AuditKind.DATA_EXPORT, Action.READ, moment, GATEWAY, peer=peer, patients=patients, studies=studies,
        accession_numbers=accession_numbers, detail={name.replace("_", " "): value for name, value in detail.items()},
    )  # fmt: skip


def counted(classes: Mapping[str, int]) -> str:
    """Numbers of instances by SOP Class UID, as the detail `instances` has them."""
    return " ".join(f"{sop_class}={number}" for sop_class, number in classes.items())


def canonical(event: AuditEvent) -> str:
    """The event as JSON text, always the same for the same event; what is hashed and kept. Never fails."""
    try:
        return orjson.dumps(event).decode()
    except TypeError:  # bytes of a peer that were kept as surrogates, which JSON has not
        text = json.dumps(asdict(event), ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace").decode()


def event_of(text: str) -> AuditEvent:
    """The event of a canonical text. Raises `ValueError` and `KeyError` for any other."""
    row: dict[str, Any] = orjson.loads(text)
    peer = row["peer"]
    return AuditEvent(
        kind=AuditKind(row["kind"]),
        action=Action(row["action"]),
        moment=row["moment"],
        actor=_actor(row["actor"]),
        type=AuditType(row["type"]),
        outcome=Outcome(row["outcome"]),
        peer=None if peer is None else _actor(peer),
        patients=tuple(row["patients"]),
        studies=tuple(row["studies"]),
        accession_numbers=tuple(row["accession_numbers"]),
        note=row["note"],
        detail=row["detail"],
    )


def _actor(row: Mapping[str, str]) -> Actor:
    return Actor(row["name"], ActorKind(row["kind"]), row["address"], row["role"])
