"""The instances of a study by QIDO-RS alone, for an archive that lists a study and gives no metadata of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from gateway.journey.study_arrival.sources.stated import STUDY_UID, text_of
from gateway.wire.dicomweb.dataset import Dataset
from gateway.wire.dicomweb.querying import DicomWebReader

SERIES_UID: Final = 0x0020000E
SOP_UID: Final = 0x00080018
MOST_PAGES: Final = 1_000


async def searched(reader: DicomWebReader, study_uid: str, page: int) -> AsyncGenerator[Dataset]:
    """What the archive answers of each instance, laid over its series and its study; none: it has the study no more."""
    studies = await reader.search("studies", [("StudyInstanceUID", study_uid), ("includefield", "all")])
    study = next((one for one in studies.results if text_of(one, STUDY_UID) == study_uid), None)
    if study is None:
        return
    series = {text_of(one, SERIES_UID): one async for one in _paged(reader, study_uid, "series", SERIES_UID, page)}
    async for one in _paged(reader, study_uid, "instances", SOP_UID, page):
        yield {**study, **series.get(text_of(one, SERIES_UID), {}), **one}


async def _paged(reader: DicomWebReader, study_uid: str, level: str, name: int, page: int) -> AsyncGenerator[Dataset]:
    """All of a level, each once: a page that brings nothing new is the last."""
    seen: set[str] = set()
    offset = 0
    for _ in range(MOST_PAGES):
        parameters = [("includefield", "all"), ("limit", str(page)), ("offset", str(offset))]
        found = (await reader.search_below(study_uid, level, parameters)).results
        fresh = {uid: one for one in found if (uid := text_of(one, name)) and uid not in seen}
        for one in fresh.values():
            yield one
        seen |= fresh.keys()
        offset += len(found)
        if not fresh:
            return
