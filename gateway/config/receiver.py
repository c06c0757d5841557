"""What the sections of systems that the gateway calls (EHRs, destinations) have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gateway.config.fields import Seconds, Section

ReceiverName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class ClientTls(Section):
    """TLS towards a system that the gateway calls."""

    ca: Path | None = None
    """PEM file with the authorities that may have signed the system's certificate; empty: those of this machine."""
    certificate: Path | None = None
    """PEM file with our certificate, for a system that asks for one."""
    key: Path | None = None
    """PEM file with its private key; empty: it stands in `certificate`."""
    key_password: str | None = Field(default=None, repr=False)
    """Password of the private key (or `key_password_file`)."""


class Retry(Section):
    first_seconds: Seconds = 2.0
    max_seconds: Seconds = 600.0
    """Back-off doubles from the first pause to this one."""
