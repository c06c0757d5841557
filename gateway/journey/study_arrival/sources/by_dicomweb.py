"""An archive that is asked over DICOMweb: studies by QIDO-RS, day by day, their instances by WADO-RS metadata."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Final

from gateway.clock import local_day
from gateway.errors import NeedsPerson, TooLarge
from gateway.journey.study_arrival.from_elements import from_elements
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.sources.by_search import searched
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.journey.study_arrival.sources.stated import STUDY_UID, count_of, text_of
from gateway.journey.study_arrival.sources.windows import DayWindows, Window
from gateway.records.arrival import HeaderRank
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy, Listing, Watermark
from gateway.wire.dicomweb.dataset import Dataset
from gateway.wire.dicomweb.querying import DicomWebReader, Found

SERIES_COUNT: Final = 0x00201206
INSTANCE_COUNT: Final = 0x00201208
MODALITIES: Final = 0x00080061
CORRECTED: Final = (
    0x00080050, 0x00081030, 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040,
)  # fmt: skip
"""Attributes of study and patient whose correction at the archive lets the study be read again."""
MOST_PAGES: Final = 500
"""Of a window: a server that gives something else each time must not be asked for ever."""
AT_ONCE: Final = 32
"""Instances that are handed on together."""
WITHOUT_METADATA: Final = (400, 405, 406, 501)
"""Statuses of a server that has no such transaction; 404 may also be that of a study that is gone."""
LARGEST: Final = "largest page"
"""In the cursor: the most studies that the server gave at once."""
IGNORES_OFFSET: Final = (
    "the server ignores offset: of a day with more studies than it gives at once some are not listed"
)


@dataclass(slots=True)
class _Window:
    """What was listed of a window."""

    seen: set[str]
    dropped: int = 0
    is_whole: bool = True


class DicomWebSource:
    """`reader` is of an open server. `page`: studies that are asked for at once. `zone`: of the site's days."""

    def __init__(
        self, name: str, reader: DicomWebReader, windows: DayWindows, wanted: StudyFilter, page: int, zone: tzinfo
    ) -> None:
        self.name = name
        self.place = reader.server.base
        self._reader = reader
        self._windows = windows
        self._filter = wanted
        self._page = page
        self._zone = zone
        self._largest = 0
        self._names_fields = True
        """The server takes includefield."""

    async def list_studies(self, since: Watermark, now: int) -> AsyncGenerator[Listing]:
        """As `StudySource`. An empty page ends its window, and one that repeats what was listed."""
        largest = since.cursor.get(LARGEST)
        self._largest = max(self._largest, largest if isinstance(largest, int) else 0)
        today = local_day(now, self._zone)
        note = ""
        for window, after in self._windows.of_poll(since, today):
            async for page in self._listed(window):
                note = note or (IGNORES_OFFSET if page is None else "")
                if page is not None:
                    yield page
            cursor = {**after.cursor, LARGEST: self._largest}
            yield Listing((), replace(after, cursor=cursor, note=note or since.note))

    async def _listed(self, window: Window) -> AsyncGenerator[Listing | None]:
        """Pages of a window; None: not all of it can be listed."""
        open_ = [window]
        while open_:
            one = open_.pop()
            state = _Window(set())
            async for page in self._pages(one, state):
                yield page
            if state.is_whole:
                continue
            if one.days > 1:
                open_.extend(reversed(one.halves()))
            else:
                yield None

    async def _pages(self, window: Window, state: _Window) -> AsyncGenerator[Listing]:
        offset = 0
        for _ in range(MOST_PAGES):
            try:
                found = await self._search(window, offset)
            except TooLarge:
                if window.days == 1:
                    raise
                state.is_whole = False
                return
            listing = self._listing(found, window, state)
            if listing.studies or listing.dropped:
                yield listing
            number = len(found.results)
            is_repeated = bool(number) and offset > 0 and not listing.studies and not listing.dropped
            if is_repeated:
                # It gave as much as it can, and the same again: offset does nothing.
                state.is_whole = number < min(self._largest, self._page) and not found.has_more
                return
            self._largest = max(self._largest, number)
            # More than was asked for is all: the server ignores limit. A short page need not be the last: how many a
            # server gives at once changes, and some take out what we may not see after they have cut the page.
            if not number or number > self._page:
                return
            offset += number
        state.is_whole = False

    async def _search(self, window: Window, offset: int) -> Found:
        parameters = [("StudyDate", window.range), *self._filter.parameters, ("limit", str(self._page))]
        if offset:
            parameters.append(("offset", str(offset)))
        if self._names_fields:
            wanted = (SERIES_COUNT, INSTANCE_COUNT, MODALITIES, *self._filter.tags)
            fields = [("includefield", f"{tag:08X}") for tag in wanted]
            try:
                return await self._reader.search("studies", [*parameters, *fields])
            except NeedsPerson as error:
                if error.details.get("status") != 400:
                    raise
                self._names_fields = False
        return await self._reader.search("studies", parameters)

    def _listing(self, found: Found, window: Window, state: _Window) -> Listing:
        """What of a page is new, and fits the question."""
        studies: list[ListedStudy] = []
        dropped = 0
        for result in found.results:
            uid = text_of(result, STUDY_UID)
            if not uid or uid in state.seen:
                continue
            state.seen.add(uid)
            if self._filter.admits(result, window):
                studies.append(listed_study(uid, result))
            else:
                dropped += 1
        return Listing(studies, dropped=dropped)

    async def read_study(self, study: ListedStudy, sender: Sender) -> AsyncGenerator[Sequence[Incoming]]:
        """As `StudySource`. Of a study without metadata what searches answer."""
        is_given = False
        try:
            async for some in self._read(self._reader.metadata(study.study_uid), study, sender, HeaderRank.METADATA):
                is_given = True
                yield some
        except NeedsPerson as error:
            if error.details.get("status") not in WITHOUT_METADATA:
                raise
        if not is_given:
            found = searched(self._reader, study.study_uid, self._page)
            async for some in self._read(found, study, sender, HeaderRank.QUERY):
                yield some

    async def _read(
        self, found: AsyncGenerator[Dataset], study: ListedStudy, sender: Sender, rank: HeaderRank
    ) -> AsyncGenerator[list[Incoming]]:
        some: list[Incoming] = []
        async for one in found:
            if text_of(one, STUDY_UID) not in ("", study.study_uid):
                raise NeedsPerson("the server gives instances of another study than was asked for", place=self.place)
            some.append(from_elements(one, sender, rank))
            if len(some) == AT_ONCE:
                yield some
                some = []
        if some:
            yield some


def listed_study(uid: str, result: Dataset) -> ListedStudy:
    """A study as an answer states it. A count that is absent is not 0: of a study without counts nothing is stated
    that changes."""
    series, instances = count_of(text_of(result, SERIES_COUNT)), count_of(text_of(result, INSTANCE_COUNT))
    stated = "\x1f".join(text_of(result, tag) for tag in CORRECTED)
    digest = hashlib.sha256(stated.encode()).hexdigest()[:12]
    state = "" if instances is None else f"{'' if series is None else series}/{instances} {digest}"
    return ListedStudy(StudyInstanceUID(uid), state, instances, digest if state else "")
