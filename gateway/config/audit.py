"""Section `audit`: the repositories that the audit trail is sent to by syslog."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from gateway.config.fields import Port, Seconds, Section, mark_doubled
from gateway.config.receiver import ClientTls

MOST_WAITING: Final = 10_000_000


class AuditRepository(Section):
    """A system that collects audit messages (an Audit Record Repository, a SIEM)."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    host: str
    port: Port = 6514
    transport: Literal["tls", "udp"] = "tls"
    """Syslog over TLS (RFC 5425), or in datagrams that nobody protects and that may be lost (RFC 5426)."""
    tls: ClientTls = ClientTls()
    message_id: Literal["DICOM+RFC3881", "IHE+RFC-3881"] = "DICOM+RFC3881"
    """MSGID of the messages: as DICOM PS3.15 A.6 has it, or IHE ITI-20."""
    most_waiting: Annotated[int, Field(ge=1_000, le=1_000_000_000)] = MOST_WAITING
    """Of events for a repository that is away; of more the oldest are skipped, and that is recorded."""
    timeout_seconds: Seconds = 10.0
    """For connecting, and until the receiver has room for a message."""

    @model_validator(mode="after")
    def _has_a_port(self) -> Self:
        if not self.port:
            raise ValueError("port: 0 is no port to send to")
        return self


class AuditSection(Section):
    source_id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{0,64}$")] = ""
    """AuditSourceID of the messages; empty: the name of this machine."""
    repositories: list[AuditRepository] = []

    @field_validator("repositories", mode="before")
    @classmethod
    def _names_are_unique(cls, value: Any) -> Any:
        return mark_doubled([] if value is None else value)
