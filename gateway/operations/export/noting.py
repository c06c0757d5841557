"""An export in the audit trail (PS3.15 A.5.3.5, Data Export)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from gateway.operations.export.manifest import ExportedFile
from gateway.operations.export.plan import ExportPlan
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind
from gateway.store import audit


def note(
    connection: Connection, plan: ExportPlan, files: Sequence[ExportedFile], out: Path, *, person: str, now: int
) -> None:
    """Record who exports what. It names no patient: there may be a million, and none of them is in the files."""
    rows = ", ".join(f"{one.table} {one.rows}" for one in files)
    event = AuditEvent(
        AuditKind.DATA_EXPORT,
        Action.READ,
        now,
        Actor(person, ActorKind.PERSON),
        note=f"de-identified export for analytics, {plan.first} to {plan.last}, as {plan.form.value}: {rows}",
        detail={
            "from": plan.first.isoformat(),
            "to": plan.last.isoformat(),
            "format": plan.form.value,
            "retained": ", ".join(sorted(plan.retained)),
            "folder": str(out),
            "rows": rows,
            "sha256": " ".join(one.digest for one in files),
        },
    )
    audit.record(connection, event)
