"""Sections `http` and `facade`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from gateway.config.fields import Port, Seconds, Section, Wrong, is_loopback


class Http(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    token: str | None = Field(default=None, repr=False)
    """Bearer token (or `token_file`) asked of every caller of /api and /metrics."""
    max_connections: Annotated[int, Field(ge=1)] = 256
    """At most a quarter of the files that the process may have open; the others are for HL7 and DICOM."""
    max_connections_per_address: Annotated[int, Field(ge=1)] | None = None
    """None: three quarters of those in all."""
    head_seconds: Seconds = 10.0
    """How long the head of a request may take."""
    body_seconds: Seconds = 60.0
    """How long the body of a request may take, and how long an answer waits for a peer that does not read."""

    @model_validator(mode="before")
    @classmethod
    def _no_open_door(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        host = data.get("host", "127.0.0.1")
        if isinstance(host, str) and not is_loopback(host) and not (data.get("token") or data.get("token_file")):
            why = f"{host!r} is not a loopback address: set http.token or http.token_file, or listen on 127.0.0.1"
            return data | {"host": Wrong(why)}
        return data


class Facade(Section):
    """The gateway's own read-only FHIR server, below /fhir of the console's address."""

    enabled: bool = False
    token: str | None = Field(default=None, repr=False)
    """Bearer token (or `token_file`) asked of whoever reads; without one, that of the console."""
    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Its public base address, where a proxy stands before it; without one, the one by which it was asked."""

    @field_validator("url")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        return value and value.rstrip("/")
