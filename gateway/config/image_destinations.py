"""List `studies.forward_to`: archives that get instances over DICOMweb, and folders; and what all destinations of
instances have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.destinations import DestinationRetry
from gateway.config.fields import AETitle, Hours, Section
from gateway.config.http_receiver import HttpReceiver, plain_address
from gateway.config.receiver import ReceiverName
from gateway.records.correction import CorrectionSet

Modality = Annotated[str, Field(pattern=r"^[A-Z0-9_ ]{1,16}$")]
SopClass = Annotated[str, Field(pattern=r"^[0-2](\.\d+){2,}$", max_length=64)]


def _lossless(method: str) -> str:
    # Only who compresses waits for the encoders.
    from gateway.pixels.encoders import ENCODERS

    if method and method not in ENCODERS:
        raise ValueError(
            f"{method!r} is none of the lossless methods {', '.join(ENCODERS)}. A compression with loss makes another "
            "instance (PS3.3 C.7.6.1.1.5), which the modality or the archive may make: let them, or choose one of these"
        )
    return method


class ImageDestination(Section):
    """A destination of instances, and which it gets."""

    name: ReceiverName
    calling_aes: list[AETitle] = []
    """Instances of these calling AE titles alone; empty: of all. With `commitment_reports` of `dicom.destinations`: the
    calling AE titles whose requests are reported there; empty: `ae_title`."""
    modalities: list[Modality] = []
    """Instances of these modalities alone; empty: of all."""
    sop_classes: list[SopClass] = []
    """Instances of these SOP Class UIDs alone; empty: of all."""
    corrections: bool | list[CorrectionSet] = False
    """Attributes are corrected by the rows of `corrections.yaml`; a list: by those of these levels."""
    compress: Annotated[str, AfterValidator(_lossless)] = ""
    """Lossless method for instances that arrived without compression; empty: they go as they came."""
    rate_per_minute: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Of this gateway no more instances than so many, retries among them; None: as fast as they are taken."""
    windows: list[Hours] = []
    """Instances go there in these hours alone; empty: at any time."""
    retry: DestinationRetry = DestinationRetry()


class ForwardTo(ImageDestination, HttpReceiver):
    """An archive with STOW-RS (PS3.18 10.5), or a folder."""

    SECTION: ClassVar = "studies.forward_to"

    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$"), AfterValidator(plain_address)] = ""
    """DICOMweb base address, to which `/studies` is appended; empty: it is a folder."""
    folder: Path | None = None
    """Instances are written here as files; the gateway does not make it, so that a disk that is not mounted shows."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """So many instances are sent, or written, at once."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if bool(self.url) == (self.folder is not None):
            raise ValueError("is an archive or a folder: set either url or folder, and not both")
        if self.folder is not None and (self.auth or self.tls or self.proxy):
            raise ValueError("a folder has no auth, token, tls or proxy")
        if self.auth is not None and self.auth.kind == "smart" and self.auth.token_url is None:
            raise ValueError("auth smart needs token_url: an archive has no SMART configuration")
        return self
