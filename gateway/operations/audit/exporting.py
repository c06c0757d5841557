"""The audit trail in files: CSV, NDJSON, DICOM audit messages."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Final

import orjson

from gateway.observe.quoting import printable
from gateway.operations.audit.dicom_message import AuditSource, dicom_message
from gateway.operations.audit.fhir_event import fhir_event
from gateway.records.audit import GATEWAY, Action, Actor, AuditEvent, AuditKind, AuditType, Outcome, canonical
from gateway.store import Store
from gateway.store.audit_listing import AuditFilter, AuditRow, oldest_first

BATCH: Final = 1_000
COLUMNS: Final = (
    "sequence", "moment", "event", "type", "action", "outcome", "actor", "actor kind", "role", "address", "peer",
    "patients", "studies", "accession numbers", "note", "detail", "hash",
)  # fmt: skip


class AuditFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    DICOM = "dicom"
    """DICOM audit messages, a line for each."""
    FHIR = "fhir"
    """FHIR R4 AuditEvents (IHE BALP), a line for each."""


async def lines(store: Store, wanted: AuditFilter, form: AuditFormat, source: AuditSource) -> AsyncIterator[bytes]:
    """What of the trail is wanted, the oldest first, as the lines of a file. Raises `Unavailable`."""
    write = _WRITERS[form](source)
    if form is AuditFormat.CSV:
        yield _csv([COLUMNS])
    after = 0
    while rows := await store.read_long(partial(oldest_first, wanted=wanted, after=after, limit=BATCH)):
        for row in rows:
            yield write(row)
        after = rows[-1].sequence


def audit_log_used(person: Actor, what: str, moment: int, detail: Mapping[str, str]) -> AuditEvent:
    """Somebody used the trail itself. `detail`: what was looked for; what is empty is left out."""
    given = {name: value for name, value in detail.items() if value}
    return AuditEvent(
        AuditKind.AUDIT_LOG_USED, Action.READ, moment, person, peer=GATEWAY, note=what, detail=given
    )  # fmt: skip


def chain_broken(person: Actor, text: str, moment: int) -> AuditEvent:
    """Whoever proved the chain found it broken."""
    return AuditEvent(
        AuditKind.SECURITY_ALERT, Action.EXECUTE, moment, person, AuditType.SECURITY_CONFIGURATION,
        Outcome.SERIOUS_FAILURE, note=f"the chain of the audit trail is broken: {text}",
    )  # fmt: skip


def iso(moment: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat(timespec="microseconds")


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(value) for value in row] for row in rows)
    return text.getvalue().encode(errors="replace")


def _harmless(value: object) -> object:
    """A text of a peer as a spreadsheet shows it: nothing begins as a formula, nothing ends the line."""
    if not isinstance(value, str):
        return value
    return printable(f"'{value}" if value.startswith(("=", "+", "-", "@")) else value)


def _as_csv(_source: AuditSource) -> Callable[[AuditRow], bytes]:
    def write(row: AuditRow) -> bytes:
        event, actor = row.event, row.event.actor
        detail = "; ".join(f"{name}: {value}" for name, value in event.detail.items())
        return _csv([[
            row.sequence, iso(event.moment), event.kind.value, event.type.value, event.action.value, int(event.outcome),
            actor.name, actor.kind.value, actor.role, actor.address, event.peer.name if event.peer else "",
            " ".join(event.patients), " ".join(event.studies), " ".join(event.accession_numbers), event.note, detail,
            row.hash,
        ]])  # fmt: skip

    return write


def _as_json(_source: AuditSource) -> Callable[[AuditRow], bytes]:
    def write(row: AuditRow) -> bytes:
        return orjson.dumps({"sequence": row.sequence, **as_json(row)}) + b"\n"

    return write


def as_json(row: AuditRow) -> dict[str, object]:
    """An event with its hash."""
    value: dict[str, object] = orjson.loads(canonical(row.event))
    return {**value, "at": iso(row.event.moment), "hash": row.hash}


def _as_messages(source: AuditSource) -> Callable[[AuditRow], bytes]:
    return lambda row: dicom_message(row.event, source) + b"\n"


def _as_resources(source: AuditSource) -> Callable[[AuditRow], bytes]:
    return lambda row: orjson.dumps(fhir_event(row.event, source)) + b"\n"


_WRITERS: Final = {
    AuditFormat.CSV: _as_csv, AuditFormat.NDJSON: _as_json, AuditFormat.DICOM: _as_messages,
    AuditFormat.FHIR: _as_resources,
}  # fmt: skip
