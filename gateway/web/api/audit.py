"""The JSON API of the audit trail, for admins."""

from __future__ import annotations

from typing import Final

from gateway.operations.answers.audit import AuditEvents
from gateway.records.person import Role
from gateway.store import audit_listing
from gateway.web.audit_requests import AuditPageOfEvents, filter_of, note_use
from gateway.web.routes import Route, RouteContext


async def list_events(context: RouteContext, parameters: AuditPageOfEvents) -> AuditEvents:
    """Events of the audit trail, the newest first. The request is an event itself."""
    wanted = filter_of(context, parameters)
    note_use(context, "looked at", parameters)
    page = await context.store.read(
        lambda c: audit_listing.page(c, wanted, limit=parameters.limit, before=parameters.before)
    )
    return AuditEvents.of(page)


ROUTES: Final = (Route("GET", "/api/audit", list_events, AuditEvents, AuditPageOfEvents, role=Role.ADMIN),)
