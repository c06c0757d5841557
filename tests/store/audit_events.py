"""The events of the audit trail, chained or not."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.records.audit import AuditEvent, event_of
from gateway.store.schema import audit, audit_waiting


def events_of(connection: Connection) -> list[AuditEvent]:
    """What is in the chain, and what waits for it, as on PostgreSQL for a second; in the order of their recording."""
    chained = connection.execute(select(audit.c.event).order_by(audit.c.sequence)).scalars()
    waiting = connection.execute(select(audit_waiting.c.events).order_by(audit_waiting.c.id)).scalars()
    return [event_of(text) for text in (*chained, *(line for lines in waiting for line in lines.split("\n")))]
