"""List `studies.sources`: the systems that are asked which studies they have."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.config.destinations import DestinationRetry
from gateway.config.fields import Seconds
from gateway.config.http_receiver import HttpReceiver, plain_address
from gateway.wire.dicomweb.dataset import tag_named

_OVER_HTTP: Final = ("dicomweb", "orthanc")


class StudySource(HttpReceiver):
    """A system that is asked which studies it has: over DICOMweb, or Orthanc by its list of changes."""

    SECTION: ClassVar = "studies.sources"

    kind: Literal["dicomweb", "orthanc"]
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$"), AfterValidator(plain_address)] = ""
    """DICOMweb base address, to which `/studies` is appended; of Orthanc that of its REST API."""
    enabled: bool = True
    """False: the source is not asked, and what is known of it stays."""
    every_seconds: Seconds = 60.0
    """Pause between the end of a poll and the next."""
    since: date | None = None
    """Studies from this Study Date on are read from the beginning; None: those of `window_days` and later."""
    window_days: Annotated[int, Field(ge=1, le=3660)] = 2
    """Each poll lists the studies of so many days again; older ones are listed in windows of so many days."""
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

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if self.kind in _OVER_HTTP and not self.url:
            raise ValueError(f"kind {self.kind} needs url")
        if self.auth is not None and self.auth.kind == "smart" and self.auth.token_url is None:
            raise ValueError("auth smart needs token_url: an archive has no SMART configuration")
        return self
