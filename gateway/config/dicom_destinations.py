"""List `dicom.destinations`: the systems that get instances, performed steps, notifications and storage commitment
reports from the gateway."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.config.fields import AETitle, Port, Seconds
from gateway.config.image_destinations import ImageDestination
from gateway.config.receiver import ClientTls


class DicomDestination(ImageDestination):
    """An archive or RIS that is called over DICOM; with `store` the rules are of the instances that it gets."""

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
    store: bool = False
    """Instances that arrive here are sent there, with their pixels (`studies.storage: forward`)."""
    storage_commitment: bool = False
    """With `store`: the destination is asked for storage commitment of each study that it has got."""
    commitment_seconds: Seconds = 3600.0
    """With `storage_commitment`: after so long without a report it is asked again."""
    commitment_reports: bool = False
    """A modality that listens there for the reports of its storage commitment requests."""
    priority: Literal["low", "medium", "high"] = "medium"
    """Of each C-STORE request (PS3.7 9.1.1.1.5)."""
    associations: Annotated[int, Field(ge=1, le=32)] = 1
    """So many associations at once bring instances there."""
    timeout_seconds: Seconds = 30.0
    """For connecting, for an association and for a response."""
    idle_seconds: Seconds = 10.0
    """An association is released when nothing was sent over it for so long."""

    @property
    def reported_titles(self) -> list[str]:
        """Calling AE titles whose requests for storage commitment are reported there."""
        return (self.calling_aes or [str(self.ae_title)]) if self.commitment_reports else []

    @model_validator(mode="after")
    def _is_of_use(self) -> Self:
        if not (self.mpps or self.ian or self.store or self.commitment_reports):
            raise ValueError("gets nothing: set store, mpps, ian or commitment_reports")
        if self.storage_commitment and not self.store:
            raise ValueError("storage_commitment is asked of what is sent there: set store")
        if self.ian and self.retrieve_ae is None:
            raise ValueError("ian needs retrieve_ae, the AE title of the archive that holds the instances")
        return self
