"""An archive without DICOMweb: its studies are listed, and read, by C-FIND (PS3.4 Annex C)."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.errors import GatewayError, NeedsPerson, Unavailable, with_fate
from gateway.journey.study_arrival.from_elements import from_elements
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.reading import ALWAYS
from gateway.journey.study_arrival.sources.cfind_answers import laid_over, value
from gateway.journey.study_arrival.sources.dicom_retrieval import Brought, Retrieval, Wanted
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.records.arrival import HeaderRank
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy
from gateway.wire.dimse.identifier import Identifier
from gateway.wire.dimse.requestor_query import Keys, Level, LimitedAnswersError, find
from gateway.wire.dimse.requestor_reuse import Requestor

log = logging.getLogger(__name__)

MOST_STUDIES: Final = 5_000
MOST_SERIES: Final = 10_000
MOST_INSTANCES: Final = 200_000
"""Answers to a query that are taken; with more studies the stretch is halved."""
_MODALITIES, _MODALITY = 0x00080061, 0x00080060
Levels = Mapping[str, Collection[str]]
Known = Callable[[StudyInstanceUID], Awaitable[Mapping[str, HeaderRank]]]
"""Which instances of a study are here."""


@dataclass(frozen=True, slots=True)
class _Series:
    uid: str
    answer: Identifier
    images: Sequence[Identifier]


class StudyReader:
    """`read` gives the instances of a study.

    `keywords`: per level (study, series, instance) the attributes that the study mapping reads. `headers`: `instance`
    where an instance of each series is retrieved, for attributes that a query does not give.
    """

    def __init__(
        self,
        requestor: Requestor,
        retrieval: Retrieval,
        keywords: Callable[[], Levels],
        known: Known,
        *,
        wanted: StudyFilter,
        headers: Literal["query", "instance"],
    ) -> None:
        self._requestor = requestor
        self._retrieval = retrieval
        self._keywords = keywords
        self._known = known
        self._filter = wanted
        self._headers = headers

    async def read(self, study: ListedStudy, sender: Sender) -> AsyncGenerator[Sequence[Incoming]]:
        """The instances that are not here as their data sets, a series at once; none: the archive does not have the
        study, or it is none that is asked for."""
        uid = study.study_uid
        of_study = await self._find("STUDY", "study", {"StudyInstanceUID": uid}, MOST_STUDIES)
        if not of_study:
            return
        every = [one async for one in self._series(uid)]
        if not self._is_asked_for(every):
            return
        known = await self._known(uid)
        wanted = [one for series in every for one in self._wanted(uid, series, known)]
        brought = await self._retrieve(wanted, sender)
        here = await self._known(uid) if wanted else known
        whole = {sop_uid for sop_uid, rank in here.items() if rank > HeaderRank.QUERY} | brought.instances.keys()
        nameless = 0
        for series in every:
            answers = [one for one in series.images if value(one, "SOPInstanceUID") not in whole]
            nameless += sum(not _has_class(one) for one in answers)
            elements = (laid_over(of_study[0], series.answer, one) for one in answers if _has_class(one))
            uids = [value(one, "SOPInstanceUID") for one in series.images]
            yield [
                *(brought.instances[sop_uid] for sop_uid in uids if sop_uid in brought.instances),
                *(from_elements(one, sender, HeaderRank.QUERY) for one in elements),
            ]
        if nameless:
            what = f"{nameless} instances without SOP Class UID in answers were not retrieved"
            raise _failure(brought.failure, what)

    async def _series(self, uid: StudyInstanceUID) -> AsyncGenerator[_Series]:
        of_study = {"StudyInstanceUID": uid}
        for answer in await self._find("SERIES", "series", of_study | {"SeriesInstanceUID": ""}, MOST_SERIES):
            if series_uid := value(answer, "SeriesInstanceUID"):
                keys = of_study | {"SeriesInstanceUID": series_uid, "SOPInstanceUID": "", "InstanceNumber": ""}
                yield _Series(series_uid, answer, await self._find("IMAGE", "instance", keys, MOST_INSTANCES))

    async def _find(self, level: Level, keywords: str, keys: Keys, most: int) -> list[Identifier]:
        """The answers that are of the series and study that was asked for: some archives ignore keys."""
        asked = dict.fromkeys(sorted(ALWAYS[keywords].union(self._keywords()[keywords])), "")
        try:
            async with self._requestor.association() as association:
                found = await find(association, level, {**asked, **keys}, most=most)
        except LimitedAnswersError as error:
            # Series and instances cannot be asked for in parts.
            raise with_fate(error, NeedsPerson) from error
        if found.unreadable:
            log.warning("source at %s: %d answers cannot be read", self._requestor.peer.place, found.unreadable)
        unique = [(keyword, uid) for keyword, uid in keys.items() if uid]
        return [one for one in found.identifiers if all(value(one, name) in ("", uid) for name, uid in unique)]

    def _is_asked_for(self, every: Sequence[_Series]) -> bool:
        """Whether a series has a modality of the filter, which archives may ignore at study level."""
        if not every or (modalities := self._filter.wanted.get(_MODALITIES)) is None:
            return True
        of_series = StudyFilter({_MODALITY: modalities})
        return any(of_series.admits(one.answer) for one in every)

    def _wanted(self, uid: str, series: _Series, known: Mapping[str, HeaderRank]) -> list[Wanted]:
        """What is retrieved of a series: all of it where the archive does not name the SOP classes, else an instance,
        that whose attributes count for the series. Nothing where that is here."""
        open_ = [one for one in series.images if value(one, "SOPInstanceUID") not in known]
        if not all(map(_has_class, open_)):
            return [Wanted(uid, series.uid)]
        first = min(series.images, key=lambda one: value(one, "SOPInstanceUID"), default=None)
        if self._headers == "query" or first is None:
            return []
        sop_uid = value(first, "SOPInstanceUID")
        is_here = known.get(sop_uid, HeaderRank.QUERY) > HeaderRank.QUERY
        return [] if is_here else [Wanted(uid, series.uid, sop_uid, value(first, "SOPClassUID"))]

    async def _retrieve(self, wanted: Sequence[Wanted], sender: Sender) -> Brought:
        """What a query gives is kept all the same, where it is enough, and the archive does not retrieve."""
        if not wanted:
            return Brought()
        found = await self._retrieval.retrieve(wanted, sender)
        if found.failure is None or not all(one.sop_uid for one in wanted):
            return found
        # Not the text, which holds the comment of the archive's and may name a patient.
        why = f"{type(found.failure).__name__} {found.failure.details.get('status', '')}".strip()
        log.warning("source %s: answers to queries without headers of instances: %s", sender.name, why)
        return found._replace(failure=None)


def _failure(error: GatewayError | None, what: str) -> GatewayError:
    """What an archive may do later is tried again."""
    kind = Unavailable if isinstance(error, Unavailable) else NeedsPerson
    return kind(f"{what}: {error}" if error is not None else what)


def _has_class(image: Identifier) -> bool:
    """Whether an archive names the SOP Class, without which nobody knows what the instance is."""
    return bool(value(image, "SOPClassUID"))
