"""Section `studies`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.config.fields import SecondsOrNone, Section, mark_doubled
from gateway.config.image_destinations import ForwardTo
from gateway.config.order_checks import OrderChecks
from gateway.config.study_sources import StudySource

GIGABYTE: Final = 10**9
Gigabytes = Annotated[float, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]


class SpoolSection(Section):
    """Where instances with their pixels are kept until every destination has them."""

    folder: Path | None = None
    """Made where there is none; gateways on one database share one folder."""
    quota_gb: Gigabytes | None = None
    """The spool takes no more than so many gigabytes (10^9 bytes); None: as many as the disk has but for `free_gb`."""
    free_gb: Gigabytes = 5.0
    """So much of the disk is left free."""
    keep_hours: Annotated[float, Field(ge=0, le=87_600, allow_inf_nan=False)] = 24.0
    """A file is deleted when every destination has confirmed its instance, but no sooner after its arrival."""


_MODALITY: Final = re.compile(r"[A-Z0-9_]{1,16}", re.ASCII)


def _modality(written: str) -> str:
    if not _MODALITY.fullmatch(written):
        raise ValueError(f"{written!r} is no modality: write it in capitals, such as US")
    return written


Modality = Annotated[str, AfterValidator(_modality)]


class LearntQuietSection(Section):
    """Quiet times of stations, learnt from the pauses in their past studies."""

    percentile: Annotated[float, Field(ge=1, le=100)] | None = None
    """In so many of 100 studies the station did not pause longer; None: nothing is learnt."""
    least_seconds: SecondsOrNone = 5.0
    most_seconds: SecondsOrNone = 300.0

    @model_validator(mode="after")
    def _least_is_below_most(self) -> Self:
        if self.least_seconds > self.most_seconds:
            raise ValueError(
                f"least_seconds ({self.least_seconds:g}) is more than most_seconds ({self.most_seconds:g})"
            )
        return self


class Stow(Section):
    """Instances that are stored over DICOMweb (STOW-RS)."""

    enabled: bool = True
    """They are taken of whoever may store by C-STORE."""
    max_request_gb: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = 100.0
    """A request has no more than so many gigabytes (10^9 bytes); an instance, what `dicom.max_object_bytes` allows."""


class Studies(Section):
    quiet_seconds: SecondsOrNone = 30.0
    """A study settles when no instance has come for this long."""
    quiet_seconds_of: dict[Modality, SecondsOrNone] = {}
    """Modality -> its own quiet time."""
    learnt_quiet: LearntQuietSection = LearntQuietSection()
    longest_wait_seconds: SecondsOrNone = 600.0
    """So long after its first instance a study settles in any case, though instances keep coming or are missing."""
    storage: Literal["headers", "forward"] = "headers"
    """`forward`: instances are kept with their pixels, as files of the spool."""
    spool: SpoolSection = SpoolSection()
    order_checks: OrderChecks = OrderChecks()
    forward_to: list[ForwardTo] = []
    """Archives that get instances over DICOMweb, and folders, beside `dicom.destinations` with `store`."""
    stow: Stow = Stow()
    sources: list[StudySource] = []
    """Systems that are asked which studies they have."""

    @field_validator("forward_to", "sources", mode="before")
    @classmethod
    def _names_are_unique(cls, value: Any) -> Any:
        return mark_doubled([] if value is None else value)

    @model_validator(mode="after")
    def _pixels_have_a_folder(self) -> Self:
        if self.storage == "forward" and self.spool.folder is None:
            raise ValueError("storage forward keeps instances as files: set studies.spool.folder")
        return self

    @model_validator(mode="after")
    def _spool_is_no_destination(self) -> Self:
        if self.spool.folder is None:
            return self
        spool = _written_out(self.spool.folder)
        for one in self.forward_to:
            if one.folder is not None and _written_out(one.folder).is_relative_to(spool):
                raise ValueError(f"forward_to {one.name}: its folder is in that of the spool; choose another folder")
        return self


def _written_out(folder: Path) -> Path:
    """Absolute and without `..`; no disk is asked, which may hang."""
    return Path(os.path.normpath(folder.absolute()))
