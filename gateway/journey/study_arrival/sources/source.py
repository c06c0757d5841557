"""What a source of studies that is asked offers, whatever its protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.records.study_source import ListedStudy, Listing, Watermark


class StudySource(Protocol):
    """Raises `Unavailable` where the source does not answer or lets nobody in, another `GatewayError` where it answers
    something else than it was asked."""

    @property
    def name(self) -> str:
        """In the configuration."""

    @property
    def place(self) -> str:
        """Its address, for people."""

    def list_studies(self, since: Watermark, now: int) -> AsyncGenerator[Listing]:
        """The studies that are to be looked at after `since`, page by page and in a bounded number of requests; `now`
        in microseconds. The watermark of a page counts when all pages before that page are kept."""

    def read_study(self, study: ListedStudy, sender: Sender) -> AsyncGenerator[Sequence[Incoming]]:
        """The instances of a study as brought by `sender`, some at once; none: the source has the study no more."""
