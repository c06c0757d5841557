"""The event of the audit trail that a message to a destination is."""

from __future__ import annotations

from typing import Final

from gateway.records.audit import Actor, ActorKind, AuditEvent, exported

PID: Final = "PID"
LONGEST_HEAD: Final = 64 * 1024
"""Bytes in which PID is looked for."""


def event_of_message(destination: str, raw: bytes, control_id: str, what: str, moment: int) -> AuditEvent:
    """`destination` has acknowledged the message."""
    return exported(
        Actor(destination, ActorKind.RIS), moment, patients=_patients(raw), control_id=control_id, what=what
    )  # fmt: skip


def _patients(raw: bytes) -> tuple[str, ...]:
    """PID-3.1 of each repetition, as far as it is ASCII: what is kept is an identifier, not a text."""
    text = raw[:LONGEST_HEAD].decode("ascii", "replace").replace("\n", "\r")
    separator = text[3:4] or "|"
    found: list[str] = []
    for segment in text.split("\r"):
        fields = segment.split(separator)
        if fields[0] == PID and len(fields) > 3:
            found += [repetition.partition("^")[0].strip() for repetition in fields[3].split("~")[:1]]
    return tuple(dict.fromkeys(filter(None, found)))
