"""Section `dicom`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, DirectoryPath, Field, field_validator, model_validator

from gateway.config.dicom_destinations import DicomDestination
from gateway.config.fields import AETitle, Network, Port, Seconds, SecondsOrNone, Section, StepStateName, mark_doubled
from gateway.config.hl7 import ListenerTls

_UID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)


def _storage_class(uid: str) -> str:
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise ValueError(f"{uid!r} is not a UID of at most 64 characters, such as 1.3.12.2.1107.5.9.1")
    # Only who names a class waits for the dictionary.
    from gateway.wire.dimse.storage_classes import other_use

    if name := other_use(uid):
        raise ValueError(f"{uid} is {name}, which is no storage class")
    return uid


StorageClass = Annotated[str, AfterValidator(_storage_class)]


Service = Literal["verification", "worklist", "storage", "mpps", "ian", "commitment"]


class DicomPeer(Section):
    """A calling AE title; what is empty allows all."""

    ae_title: AETitle
    allowed_addresses: list[Network] = []
    allowed_certificates: list[str] = []
    """Common or DNS names; the association must then come over TLS with a certificate that `tls.client_ca` signed."""
    services: list[Service] = ["verification", "worklist", "storage", "mpps", "ian", "commitment"]
    mpps: Literal["lenient", "strict"] = "lenient"
    """Whether an MPPS request that leaves out what the standard requires is taken with a finding, or refused."""
    max_associations: Annotated[int, Field(ge=1)] | None = None
    user: str = ""
    """User Identity that the association must show, with `passcode` (or `passcode_file`)."""
    passcode: str = Field(default="", repr=False)


class DicomTls(ListenerTls):
    port: Port = 2762
    only: bool = False
    """Do not listen on `dicom.port`."""


class Dicom(Section):
    ae_title: AETitle = "GATEWAY"
    host: str = "127.0.0.1"
    port: Port = 11112
    check_called_ae: bool = False
    """Refuse associations that call another AE title than ours."""
    allowed_calling_aes: list[AETitle] = []
    """Empty: any calling AE title is served."""
    peers: list[DicomPeer] = []
    """What single calling AE titles may do, and from where; a title listed here is served."""
    destinations: list[DicomDestination] = []
    """Who gets instances, performed steps of modalities, notifications of studies, storage commitment reports."""
    commitment_wait_seconds: SecondsOrNone = 60.0
    """So long a storage commitment request waits for instances that are not here yet, before they are reported as
    failed."""
    tls: DicomTls | None = None
    """One more port, on which associations are made over TLS."""
    storage_classes: list[StorageClass] = []
    """SOP Class UIDs that are taken by C-STORE beside those of the standard: private, or of a later edition."""
    max_associations: Annotated[int, Field(ge=1)] = 100
    max_associations_per_address: Annotated[int, Field(ge=1)] | None = None
    """None: three quarters of those in all."""
    idle_seconds: Seconds = 600.0
    """An association without traffic for this long is aborted."""
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1048576)] = 131072
    """The longest P-DATA-TF that peers may send."""
    max_object_bytes: Annotated[int, Field(ge=1048576)] = 4294967296
    """A longer data set is read and refused with A700."""
    temporary_folder: DirectoryPath | None = None
    """Where a data set above 2 MiB waits for its last fragment; None: the folder of the system."""
    max_worklist_matches: Annotated[int, Field(ge=1)] = 1000
    """A query that matches more gets these and then A700 (out of resources)."""
    pn_implicit_wildcard: bool = False
    """Answer the name key SMITH as if it were SMITH*."""
    hidden_states: list[StepStateName] = ["CANCELED", "DISCONTINUED", "COMPLETED", "HELD"]
    started_grace_seconds: SecondsOrNone = 0.0
    """Where STARTED is hidden: how long a step is shown all the same after it has started."""
    warn_of_unknown_keys: bool = False
    """Answer a query for attributes that no item holds with FF01 instead of FF00."""

    @field_validator("peers", mode="before")
    @classmethod
    def _none_is_listed(cls, value: Any) -> Any:
        return [] if value is None else value

    @field_validator("destinations", mode="before")
    @classmethod
    def _names_are_unique(cls, value: Any) -> Any:
        return mark_doubled([] if value is None else value)

    @model_validator(mode="after")
    def _reports_go_one_way(self) -> Self:
        names: dict[str, str] = {}
        for one in self.destinations:
            for title in one.reported_titles:
                if (other := names.setdefault(title, one.name)) != one.name:
                    raise ValueError(
                        f"commitment_reports of {title} would go to {other} and to {one.name}: list it once"
                    )
        return self

    @model_validator(mode="after")
    def _certificates_can_be_asked_for(self) -> Self:
        asking = next((one.ae_title for one in self.peers if one.allowed_certificates), None)
        if asking and (self.tls is None or self.tls.client_ca is None):
            raise ValueError(f"peer {asking} is to show a certificate: set dicom.tls with client_ca")
        return self
