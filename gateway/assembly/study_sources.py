"""Sources of studies that are asked: how each is polled, and how its studies are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.assembly.breakers import DESTINATION_SILENCE_SECONDS, breaker_of
from gateway.assembly.dicom_sources import dicom_source
from gateway.assembly.http_receivers import authorization_of, tls_of
from gateway.clock import Clock
from gateway.config.study_sources import StudySource as SourceSection
from gateway.config.tree import Config
from gateway.journey.instance_availability.station import Consequence
from gateway.journey.study_arrival.sources.by_dicomweb import DicomWebSource
from gateway.journey.study_arrival.sources.by_orthanc import OrthancSource
from gateway.journey.study_arrival.sources.fetching import Arrivals, Fetching
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.journey.study_arrival.sources.notified import Completing, queue_notified
from gateway.journey.study_arrival.sources.polling import Polling
from gateway.journey.study_arrival.sources.source import StudySource
from gateway.journey.study_arrival.sources.windows import DayWindows
from gateway.mapping import Mappings
from gateway.observe import metrics
from gateway.records.work import WorkKind, polls_of, studies_at
from gateway.store import Store
from gateway.wire.dicomweb.orthanc import OrthancReader
from gateway.wire.dicomweb.querying import DicomWebReader
from gateway.wire.dicomweb.reading import WebReader
from gateway.wire.http import Connect
from gateway.work.handling import Handling


@dataclass(frozen=True, slots=True)
class SourceParts:
    """What the sources of studies share."""

    config: Config
    store: Store
    mappings: Mappings
    arrivals: Arrivals
    clock: Clock
    stack: AsyncExitStack
    """Ends what sources have open."""
    windows: DayWindows | None = None
    """The days that are listed; None: those of the source's own configuration."""


Maker = Callable[[SourceSection, SourceParts], Awaitable[StudySource]]


async def _dicomweb(section: SourceSection, parts: SourceParts) -> StudySource:
    reader = DicomWebReader(await parts.stack.enter_async_context(web_reader_of(section)))
    windows, zone = _windows_of(section, parts), parts.config.site.zone
    return DicomWebSource(section.name, reader, windows, StudyFilter(section.tags), section.page, zone)


async def _orthanc(section: SourceSection, parts: SourceParts) -> StudySource:
    reader = OrthancReader(await parts.stack.enter_async_context(web_reader_of(section)))
    return OrthancSource(section.name, reader, section.since, StudyFilter(section.tags), section.page)


def web_reader_of(section: SourceSection, most_seconds: float = float("inf")) -> WebReader:
    """Raises `ConfigError`."""
    seconds = min(section.timeout_seconds, most_seconds)
    return WebReader(
        section.url,
        Connect(seconds, tls_of(section), section.proxy, 4 * section.concurrency),
        authorization_of(section),
    )


async def _dicom(section: SourceSection, parts: SourceParts) -> StudySource:
    windows = _windows_of(section, parts)
    return dicom_source(section, parts.config, parts.store, parts.mappings, parts.stack, windows)


def _windows_of(section: SourceSection, parts: SourceParts) -> DayWindows:
    return parts.windows or DayWindows(section.since, section.window_days, section.again_days)


MAKERS: Final[dict[str, Maker]] = {"dicomweb": _dicomweb, "orthanc": _orthanc, "dicom": _dicom}
"""Kind of the configuration -> what makes the source. Raises `ConfigError` when a certificate, key or token file cannot
be used."""


async def kinds_of_study_sources(parts: SourceParts) -> dict[WorkKind, Handling]:
    """The polls of all sources that are on, of which the first are due, and the studies that are read there."""
    kinds: dict[WorkKind, Handling] = {}
    for one in parts.config.studies.sources:
        if one.enabled:
            kinds |= await _kinds_of(one, await MAKERS[one.kind](one, parts), parts)
    return kinds


async def _kinds_of(section: SourceSection, source: StudySource, parts: SourceParts) -> dict[WorkKind, Handling]:
    breaker = breaker_of(
        section.name,
        section.retry,
        parts.store.steady,
        longest_silence=DESTINATION_SILENCE_SECONDS,
        gauge=metrics.SOURCE_OPEN,
    )
    polling = Polling(source, parts.store, breaker, parts.clock, section.every_seconds)
    fetching = Fetching(source, parts.arrivals, breaker, parts.clock)
    await parts.store.write(polling.begin)
    return {
        polls_of(section.name): Handling(polling.poll, concurrency=1, gate=breaker),
        studies_at(section.name): Handling(
            Completing(fetching.fetch, parts.store).fetch,
            concurrency=section.concurrency,
            first_retry_seconds=section.retry.first_seconds,
            max_retry_seconds=section.retry.max_seconds,
            gate=breaker,
        ),
    }


def notified_studies(config: Config, clock: Clock) -> Consequence:
    """What follows from an Instance Availability Notification: its study is read at the source of its Retrieve AE
    Title. Orthanc's changes name studies as Orthanc does, and come as soon."""
    sections = [one for one in config.studies.sources if one.enabled and one.kind != "orthanc"]
    sources = {title: one.name for one in reversed(sections) for title in one.retrieved_titles}
    only = sections[0].name if len(sections) == 1 else None
    return partial(queue_notified, sources=sources, only=only, clock=clock)
