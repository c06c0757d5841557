"""List `studies.sources`: the systems that are asked which studies they have."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.config.destinations import DestinationRetry
from gateway.config.fields import AETitle, Port, Seconds
from gateway.config.http_receiver import HttpReceiver, plain_address
from gateway.wire.dicomweb.dataset import tag_named

_OVER_HTTP: Final = ("dicomweb", "orthanc")


class StudySource(HttpReceiver):
    """A system that is asked which studies it has: over DICOMweb, Orthanc by its list of changes, or over DICOM by
    C-FIND."""

    SECTION: ClassVar = "studies.sources"

    kind: Literal["dicomweb", "orthanc", "dicom"]
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$"), AfterValidator(plain_address)] = ""
    """DICOMweb base address, to which `/studies` is appended; of Orthanc that of its REST API."""
    ae_title: AETitle | None = None
    """Of `dicom`: called AE title."""
    host: str = "127.0.0.1"
    port: Port | None = None
    calling_ae: AETitle | None = None
    """Of `dicom`; None: `dicom.ae_title`."""
    headers: Literal["query", "instance"] = "query"
    """Of `dicom`: `instance` retrieves an instance of each series for attributes that a query does not give."""
    retrieve: Literal["get", "move"] = "get"
    """Of `dicom`: instances come by C-GET, or by C-MOVE to `dicom.ae_title` at the gateway's own port."""
    retrieve_aes: list[AETitle] = []
    """Retrieve AE Titles of Instance Availability Notifications whose studies are read here, beside `ae_title`."""
    enabled: bool = True
    """False: the source is not asked, and what is known of it stays."""
    every_seconds: Seconds = 60.0
    """Pause between the end of a poll and the next."""
    since: date | None = None
    """Studies from this Study Date on are read from the beginning; None: those of `window_days` and later."""
    window_days: Annotated[int, Field(ge=1, le=3660)] = 2
    """Each poll lists the studies of so many days again; older ones are listed in windows of so many days."""
    again_days: Annotated[int, Field(ge=0, le=3660)] = 7
    """With `since`: older studies are listed again after so many days, for those that came to the archive late; 0:
    never. Orthanc's changes tell of those."""
    page: Annotated[int, Field(ge=1, le=10_000)] = 200
    """So many studies are asked for at once; a system that gives fewer is asked more often."""
    filters: dict[str, str] = {}
    """Attribute (keyword or eight hexadecimal digits) -> value that studies must have, such as
    `ModalitiesInStudy: MG`."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """So many studies are read at once."""
    retry: DestinationRetry = DestinationRetry()

    @property
    def tags(self) -> dict[int, str]:
        """The filters by tag."""
        return {tag: value for name, value in self.filters.items() if (tag := tag_named(name)) is not None}

    @field_validator("filters")
    @classmethod
    def _filters_are_attributes(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if tag_named(name) is None:
                raise ValueError(f"{name!r} is neither a keyword of PS3.6 nor eight hexadecimal digits")
        return value

    @property
    def retrieved_titles(self) -> list[str]:
        """Retrieve AE Titles of what is read here."""
        return [*self.retrieve_aes, *([str(self.ae_title)] if self.ae_title else [])]

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if self.kind in _OVER_HTTP and not self.url:
            raise ValueError(f"kind {self.kind} needs url")
        if self.kind == "dicom" and (self.ae_title is None or self.port is None):
            raise ValueError("kind dicom needs ae_title and port")
        if self.kind == "dicom" and (self.url or self.auth or self.proxy):
            raise ValueError("kind dicom has no url, auth, token or proxy")
        if self.auth is not None and self.auth.kind == "smart" and self.auth.token_url is None:
            raise ValueError("auth smart needs token_url: an archive has no SMART configuration")
        return self
