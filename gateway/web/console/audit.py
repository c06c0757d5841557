"""The page Audit: who did what to whose data; its export. For admins, and recorded itself."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from gateway.operations.audit.dicom_message import AuditSource
from gateway.operations.audit.exporting import AuditFormat, lines
from gateway.records.audit import AuditKind
from gateway.records.person import Role
from gateway.store import audit_listing
from gateway.web.audit_requests import AuditExportParameters, AuditParameters, filter_of, note_use
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import Before
from gateway.web.routes import Route, RouteContext

SHOWN: Final = 50
MOST_NAMED: Final = 5
"""Patients of an event that a row of the table names."""
_MEDIA_TYPES: Final = {AuditFormat.CSV: "text/csv", AuditFormat.NDJSON: "application/x-ndjson",
                       AuditFormat.DICOM: "text/plain", AuditFormat.FHIR: "application/x-ndjson"}  # fmt: skip


class AuditPageParameters(PageParameters, AuditParameters):
    before: Before = None


async def show_audit(context: RouteContext, parameters: AuditPageParameters) -> web.Response:
    """Events of the audit trail by who, what, patient and day, the newest first."""
    wanted = filter_of(context, parameters)
    note_use(context, "looked at", parameters)
    listed = await context.store.read(lambda c: audit_listing.page(c, wanted, limit=SHOWN, before=parameters.before))
    positions = await context.store.read(lambda c: audit_listing.standing(c))
    return page(
        context, "audit.html", parameters, title="Audit", current="/audit", asked=parameters, listed=listed,
        kinds=list(AuditKind), most_named=MOST_NAMED, standing=positions,
        newest=_address("/audit", parameters) if parameters.before else "",
        older=_address("/audit", parameters, before=listed.next_before) if listed.next_before else "",
        exports={form.value: _address("/audit/export", parameters, format=form.value) for form in AuditFormat},
    )  # fmt: skip


def _address(path: str, parameters: AuditPageParameters, **more: object) -> str:
    given = {**parameters.model_dump(mode="json", include=set(AuditParameters.model_fields)), **more}
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{query}" if query else path


async def export_audit(context: RouteContext, parameters: AuditExportParameters) -> web.Response:
    """The same events as a file, the oldest first: CSV, a JSON object a line, or a DICOM audit message a line."""
    form = parameters.format
    note_use(context, "exported", parameters, format=form.value)
    source = AuditSource("", "imaging-gateway")
    suffix = {AuditFormat.DICOM: "xml.txt", AuditFormat.FHIR: "fhir.ndjson"}.get(form, form.value)
    return web.Response(
        body=lines(context.store, filter_of(context, parameters), form, source),
        content_type=_MEDIA_TYPES[form],
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit.{suffix}"'},
    )


ROUTES: Final = (
    Route("GET", "/audit", show_audit, "text/html", AuditPageParameters, role=Role.ADMIN),
    Route("GET", "/audit/export", export_audit, "text/csv", AuditExportParameters, role=Role.ADMIN),
)
