"""List `dicom.destinations`: the systems that get performed steps and notifications from the gateway."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.config.destinations import DestinationRetry
from gateway.config.fields import AETitle, Port, Seconds, Section
from gateway.config.receiver import ClientTls


class DicomDestination(Section):
    """A PACS or RIS that is called over DICOM."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    ae_title: AETitle
    """Called AE title."""
    host: str = "127.0.0.1"
    port: Port
    calling_ae: AETitle | None = None
    """None: `dicom.ae_title`."""
    tls: ClientTls | None = None
    mpps: bool = False
    """Each N-CREATE and N-SET that modalities make here is made there."""
    ian: bool = False
    """An Instance Availability Notification is made there when a study has settled, or has grown."""
    retrieve_ae: AETitle | None = None
    """Retrieve AE Title of the notifications: the archive that holds the instances."""
    timeout_seconds: Seconds = 30.0
    """For connecting, for an association and for a response."""
    idle_seconds: Seconds = 10.0
    """An association is released when nothing was sent over it for so long."""
    retry: DestinationRetry = DestinationRetry()

    @model_validator(mode="after")
    def _is_of_use(self) -> Self:
        if not self.mpps and not self.ian:
            raise ValueError("gets nothing: set mpps or ian")
        if self.ian and self.retrieve_ae is None:
            raise ValueError("ian needs retrieve_ae, the AE title of the archive that holds the instances")
        return self
