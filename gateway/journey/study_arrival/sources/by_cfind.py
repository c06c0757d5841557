"""An archive that is asked by C-FIND (PS3.4 Annex C), such as an archive without DICOMweb."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final

from gateway.clock import local_day
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.sources.cfind_listing import listed
from gateway.journey.study_arrival.sources.cfind_reading import MOST_STUDIES, StudyReader
from gateway.journey.study_arrival.sources.cfind_stretches import Stretch
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.journey.study_arrival.sources.windows import DayWindows
from gateway.records.study_source import ListedStudy, Listing, Watermark
from gateway.wire.dimse.requestor_query import Keys, Matches, find
from gateway.wire.dimse.requestor_reuse import Requestor

LIMITS: Final = (
    "the archive limits its answers: of a second, or of a window, with more studies than it answers with some are not "
    "listed; raise its limit, or make window_days smaller"
)


class DicomSource:
    """`zone`: that of the archive's Study Dates."""

    def __init__(
        self,
        name: str,
        requestor: Requestor,
        reader: StudyReader,
        windows: DayWindows,
        zone: tzinfo,
        wanted: StudyFilter,
    ) -> None:
        self.name = name
        self._requestor = requestor
        self._reader = reader
        self._windows = windows
        self._zone = zone
        self._filter = wanted

    @property
    def place(self) -> str:
        return self._requestor.peer.place

    async def list_studies(self, since: Watermark, now: int) -> AsyncGenerator[Listing]:
        """As `StudySource`."""
        note = ""
        today = local_day(now, self._zone)
        for window, mark in self._windows.of_poll(since, today):
            found = await listed(self._find, Stretch.of_days(window.first, window.last), self._filter)
            note = note or ("" if found.is_whole else LIMITS)
            yield Listing(list(found.studies.values()), replace(mark, note=note or since.note), found.dropped)

    async def _find(self, keys: Keys) -> Matches:
        async with self._requestor.association() as association:
            return await find(association, "STUDY", keys, most=MOST_STUDIES)

    def read_study(self, study: ListedStudy, sender: Sender) -> AsyncGenerator[Sequence[Incoming]]:
        """As `StudyReader.read`."""
        return self._reader.read(study, sender)
