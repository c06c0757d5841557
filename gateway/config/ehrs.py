"""Section `ehrs`: address and manners of each EHR."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from gateway.config.fields import OffOrWrite
from gateway.config.http_receiver import BaseAddress, HttpReceiver
from gateway.config.receiver import Retry


class Ehr(HttpReceiver):
    SECTION: ClassVar = "ehrs"

    url: BaseAddress
    """FHIR base address, without a trailing slash."""
    fhir_version: Literal["R4", "R5"] = "R4"
    resource: Literal["ImagingStudy", "DocumentReference"] = "ImagingStudy"
    """The resource type for a study; a DocumentReference holds a link to `site.viewer_url`."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    max_requests_per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Of this gateway, evenly spread; none: as fast as the EHR answers."""
    gzip: Literal["auto", "always", "never"] = "auto"
    """Whether bodies are sent compressed; auto: once an answer of the EHR has announced gzip."""
    series: Literal["all", "none"] = "all"
    """Whether ImagingStudy.series is listed; the counts are always sent."""
    instances: Literal["all", "none"] | Annotated[int, Field(ge=1)] = "all"
    """Whether ImagingStudy.series.instance is listed, or only of studies with no more than so many."""
    endpoints: bool = True
    """Say in each study where its images are retrieved, if `site.wado_rs_url` is set."""
    patient: Literal["identifier", "find", "create"] = "identifier"
    """How a study names its patient: by identifier alone, by a link to the EHR's Patient that has it, or by a link to
    one that is created where there is none."""
    orders: Literal["identifier", "find", "write"] = "identifier"
    """How a study names its orders: by identifier alone, or by links to the EHR's ServiceRequests that have them;
    write: which the gateway makes of the orders of the RIS, and keeps up to date."""
    tasks: OffOrWrite = "off"
    """write: the gateway makes a Task of each order of the RIS, whose status follows the examination."""
    procedures: OffOrWrite = "off"
    """write: the gateway makes a Procedure of each performed step (MPPS) that is completed."""
    audit_events: bool = False
    """Create an AuditEvent (R4) there for each event of the audit trail."""
    retry: Retry = Retry()
    write: Literal["auto", "client_id", "conditional_update", "conditional_create", "transaction", "search"] = "auto"
    """How a resource is brought to the EHR so that it cannot be there twice; auto: the safest way it announces."""
    duplicates: Literal["report", "remove"] = "report"
    """What to do with a study that another writer made a second time: park the delivery, or delete all but the oldest
    there."""
    when_deleted: Literal["stop", "recreate"] = "stop"
    """What to do when a resource of ours was deleted in the EHR and its study changes: park the delivery, or make it
    anew."""

    @field_validator("audit_events")
    @classmethod
    def _is_of_r4(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("fhir_version") == "R5":
            raise ValueError("is done for EHRs of release R4 alone")
        return value
