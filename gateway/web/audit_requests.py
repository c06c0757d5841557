"""What of the audit trail a request wants; each request is an event itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from gateway.operations.audit.access import actor_of
from gateway.operations.audit.exporting import AuditFormat, audit_log_used
from gateway.operations.messages_view import bounds_of
from gateway.records.audit import AuditKind
from gateway.store.audit_listing import AuditFilter
from gateway.web.requests import Before, Day, Limit, RequestParameters, Words
from gateway.web.routes import RouteContext

_EMPTY_IS_NONE = BeforeValidator(lambda value: value or None)


class AuditParameters(RequestParameters):
    who: Words = Field(default="", description="Login, AE title, MSH-3|MSH-4, name of an EHR")
    what: Annotated[AuditKind | None, _EMPTY_IS_NONE, Field(description="Kind of event")] = None
    patient: Words = Field(default="", description="Patient ID")
    day: Day = ""


class AuditPageOfEvents(AuditParameters):
    limit: Limit = 100
    before: Before = None


class AuditExportParameters(AuditParameters):
    format: AuditFormat = Field(default=AuditFormat.CSV, description="`dicom`: an audit message a line")


def filter_of(context: RouteContext, parameters: AuditParameters) -> AuditFilter:
    """Which events are wanted; a day is one of the site's zone."""
    first, last = bounds_of(parameters.day, context.zone)
    return AuditFilter(parameters.what, parameters.who.strip(), parameters.patient.strip(), first, last)


def note_use(context: RouteContext, what: str, parameters: AuditParameters, **detail: str) -> None:
    """Record that the trail itself was used."""
    given: dict[str, Any] = parameters.model_dump(mode="json", include=set(AuditParameters.model_fields))
    stated = {name: str(value) for name, value in given.items() if value} | detail
    context.note(audit_log_used(actor_of(context.person), what, context.clock(), stated))
