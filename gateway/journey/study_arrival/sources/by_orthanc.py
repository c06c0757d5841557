"""An Orthanc that is asked for its changes: the number of the last change is the watermark."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeVar

from gateway.journey.study_arrival.from_elements import from_elements
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.journey.study_arrival.sources.stated import STUDY_UID, text_of
from gateway.journey.study_arrival.sources.windows import Window
from gateway.records.arrival import HeaderRank
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy, Listing, Watermark
from gateway.wire.dicomweb.orthanc import OrthancReader, OrthancStudy

T = TypeVar("T")

AT_ONCE: Final = 16
"""Requests that are under way at once, of which each asks for a study or an instance."""
MOST_PAGES: Final = 1_000
"""Of a poll: the next one goes on."""
SEQUENCE: Final = "sequence"
"""In the cursor: the number of the last change that was read."""
LISTED: Final = "listed"
"""In the cursor, while all studies are listed: how many were."""
NEWEST: Final = "newest"
"""In the cursor, while all studies are listed: Orthanc's identifier of the last that was."""


class OrthancSource:
    """`reader` is of an open server. `since`: older studies are left out; None: none are. `page`: changes, or studies,
    that are asked for at once."""

    def __init__(self, name: str, reader: OrthancReader, since: date | None, wanted: StudyFilter, page: int) -> None:
        self.name = name
        self.place = reader.server.base
        self._reader = reader
        self._window = Window(since or date.min, date.max)
        self._filter = wanted
        self._page = page

    async def list_studies(self, since: Watermark, now: int) -> AsyncGenerator[Listing]:
        """As `StudySource`. All studies are listed at first, and where changes are missing."""
        last = await self._reader.last_change()
        sequence, listed = _held(since.cursor, SEQUENCE), _held(since.cursor, LISTED)
        newest = str(since.cursor.get(NEWEST) or "")
        if sequence is None or not await self._goes_on(sequence, last):
            # What changes while the studies are listed has a later number than this.
            sequence, listed, newest = last, 0, ""
        for _ in range(MOST_PAGES):
            if listed is None:
                break
            studies = await self._reader.studies(listed - bool(newest), self._page + bool(newest))
            if newest and [one.id for one in studies[:1]] != [newest]:
                # Studies were deleted, and those behind them moved to their places.
                listed, newest = max(listed - self._page, 0), ""
                continue
            studies = studies[bool(newest) :]
            listed, newest = (listed + len(studies), studies[-1].id) if studies else (None, "")
            yield self._listing(studies, _mark(sequence, listed, last, newest))
        for _ in range(MOST_PAGES if listed is None else 0):
            changes = await self._reader.changes(sequence, self._page)
            changed = await _gathered(self._reader.study, changes.studies)
            sequence = max(sequence, changes.last)
            last = max(last, sequence)
            yield self._listing(changed, _mark(sequence, None, last if not changes.is_done else sequence))
            if changes.is_done:
                return

    async def _goes_on(self, sequence: int, last: int) -> bool:
        """Whether the changes after `sequence` are all there: the list may have been emptied, or counted anew."""
        if last <= sequence:
            return last == sequence
        return (await self._reader.changes(sequence, 1)).first == sequence + 1

    def _listing(self, studies: Sequence[OrthancStudy], watermark: Watermark) -> Listing:
        listed, dropped = [], 0
        for one in studies:
            uid = text_of(one.tags, STUDY_UID)
            if not uid or not self._filter.admits(one.tags, self._window):
                dropped += 1
                continue
            listed.append(ListedStudy(StudyInstanceUID(uid), one.state, key=one.id))
        return Listing(listed, watermark, dropped)

    async def read_study(self, study: ListedStudy, sender: Sender) -> AsyncGenerator[Sequence[Incoming]]:
        """As `StudySource`."""
        instances = await self._reader.instances(study.key)
        for at in range(0, len(instances), AT_ONCE):
            some = await _gathered(self._reader.tags, instances[at : at + AT_ONCE])
            yield [from_elements(one, sender, HeaderRank.METADATA) for one in some]


def _held(cursor: Mapping[str, Any], key: str) -> int | None:
    number = cursor.get(key)
    return number if isinstance(number, int) else None


def _mark(sequence: int, listed: int | None, last: int, newest: str = "") -> Watermark:
    """While studies are listed people see how many were; then the number of the last change that was read."""
    if listed is not None:
        return Watermark({SEQUENCE: sequence, LISTED: listed, NEWEST: newest}, f"{listed} studies", is_behind=True)
    return Watermark({SEQUENCE: sequence}, str(sequence), str(last) if last > sequence else "", last > sequence)


async def _gathered(ask: Callable[[str], Awaitable[T | None]], names: Sequence[str]) -> list[T]:
    """The answers that there are, `AT_ONCE` questions at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> T | None:
        async with turns:
            return await ask(name)

    return [answer for answer in await asyncio.gather(*map(one, names)) if answer is not None]
