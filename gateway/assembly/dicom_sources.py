"""Archives that are asked which studies they have by C-FIND."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from gateway.assembly.implementation import implementation_uid
from gateway.assembly.tls import client_tls
from gateway.config.study_sources import StudySource
from gateway.config.tree import Config
from gateway.journey.study_arrival.sources.by_cfind import DicomSource
from gateway.journey.study_arrival.sources.cfind_reading import StudyReader
from gateway.journey.study_arrival.sources.dicom_retrieval import ByGet, ByMove, Retrieval
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.journey.study_arrival.sources.windows import DayWindows
from gateway.mapping import Mappings
from gateway.store import Store, header_ranks
from gateway.wire.dimse.requestor_operations import proposals
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from gateway.wire.dimse.requestor_query import FIND
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.wire.dimse.server import VERSION_NAME


def dicom_source(
    section: StudySource,
    config: Config,
    store: Store,
    mappings: Mappings,
    stack: AsyncExitStack,
    windows: DayWindows,
) -> DicomSource:
    """`windows`: the days that are listed. Raises `ConfigError` when a certificate cannot be used."""
    peer = peer_of_source(config, section, section.timeout_seconds)
    requestor = Requestor(peer, proposals(FIND))
    stack.push_async_callback(requestor.close)
    wanted = StudyFilter(section.tags)
    reader = StudyReader(
        requestor,
        _retrieval_of(config, section, peer),
        lambda: mappings.studies.keywords,
        lambda uid: store.read(partial(header_ranks.of_study, study_uid=uid)),
        wanted=wanted,
        headers=section.headers,
    )
    return DicomSource(section.name, requestor, reader, windows, config.site.zone, wanted)


def _retrieval_of(config: Config, section: StudySource, peer: RequestedPeer) -> Retrieval:
    """How instances are retrieved of an archive."""
    if section.retrieve == "move":
        return ByMove(peer, config.dicom.ae_title)
    return ByGet(peer, config.dicom.max_object_bytes, config.dicom.temporary_folder)


def peer_of_source(config: Config, section: StudySource, seconds: float) -> RequestedPeer:
    """How an archive is called. Raises `ConfigError`."""
    return RequestedPeer(
        section.host,
        section.port or 0,
        section.ae_title or "",
        section.calling_ae or config.dicom.ae_title,
        Timeouts.of(seconds),
        client_tls(section.tls, f"studies.sources {section.name}"),
        (implementation_uid(config), VERSION_NAME),
    )
