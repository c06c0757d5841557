"""Storage commitment: who may ask for it, where the reports go, and which archives are asked for it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from gateway.clock import Clock
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.tree import Config
from gateway.journey.image_forwarding.commitment_reports import ArchiveReports
from gateway.journey.image_forwarding.committing import CommitmentsWanted, Committing
from gateway.journey.storage_commitment.open_requests import OpenRequests
from gateway.journey.storage_commitment.reporting import FIRST_LOOK_SECONDS, Address, CommitmentReports
from gateway.journey.storage_commitment.station import StorageCommitment
from gateway.records.work import WorkKind, commitments_of, commitments_to
from gateway.store import Store
from gateway.wire.dimse.commitment import PUSH_MODEL, ReportHandler
from gateway.wire.dimse.commitment_serving import serving
from gateway.wire.dimse.requestor_operations import proposals
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.work.breaker import Breaker
from gateway.work.handling import Handling

CLAIMED: Final = 16
"""Reports that are claimed at once: they take turns on one association, and claiming costs a transaction."""
ASKING: Final = 4
"""Studies that are claimed at once, to be asked for."""
UNLISTED_SECONDS: Final = 30.0
"""For the answer of a peer that no destination is of, and the longest pause between two tries."""


def commitment_of(config: Config, store: Store, clock: Clock, requests: OpenRequests) -> StorageCommitment | None:
    """The station that takes requests; None where pixels are not kept, and nothing can be committed."""
    if config.studies.storage == "headers":
        return None
    by_title = {title: commitments_to(one.name) for one in config.dicom.destinations for title in one.reported_titles}

    def kind_of(calling_ae: str) -> WorkKind:
        return by_title.get(calling_ae, commitments_to())

    return StorageCommitment(store, clock, kind_of, requests, config.dicom.commitment_wait_seconds)


def kinds_of_reports(
    destination: DicomDestination,
    peer: RequestedPeer,
    breaker: Breaker,
    store: Store,
    clock: Clock,
    requests: OpenRequests,
    stack: AsyncExitStack,
) -> dict[WorkKind, Handling]:
    """How the requests of a modality are reported to it; the association ends with `stack`."""
    requestor = Requestor(peer, proposals(PUSH_MODEL, is_scp=True), idle_seconds=destination.idle_seconds)
    stack.push_async_callback(requestor.close)
    reports = CommitmentReports(store, requests, clock, Address(requestor, breaker), destination.timeout_seconds)
    handling = Handling(
        reports.report,
        concurrency=CLAIMED,
        first_retry_seconds=min(destination.retry.first_seconds, FIRST_LOOK_SECONDS),
        max_retry_seconds=destination.retry.max_seconds,
        gate=breaker,
    )
    return {commitments_to(destination.name): handling}


def kinds_of_unlisted_reports(store: Store, clock: Clock, requests: OpenRequests) -> dict[WorkKind, Handling]:
    """How requests are reported to those of whom no address is known."""
    reports = CommitmentReports(store, requests, clock, None, UNLISTED_SECONDS)
    handling = Handling(
        reports.report, concurrency=CLAIMED, first_retry_seconds=FIRST_LOOK_SECONDS, max_retry_seconds=UNLISTED_SECONDS
    )
    return {commitments_to(): handling}


def archive_reports(config: Config, store: Store, clock: Clock) -> ReportHandler | None:
    """What takes the reports of archives; None where none is asked for commitment."""
    if not any(one.storage_commitment for one in config.dicom.destinations):
        return None
    return ArchiveReports(store, clock).take


def commitments_wanted(config: Config, destination: DicomDestination, clock: Clock) -> CommitmentsWanted | None:
    """What lets an archive be asked for commitment of what it was sent; None: it is not asked."""
    if not destination.storage_commitment:
        return None
    return CommitmentsWanted(destination.name, config.studies.quiet_seconds, clock)


def kinds_of_committing(
    destination: DicomDestination,
    peer: RequestedPeer,
    breaker: Breaker,
    store: Store,
    clock: Clock,
    stack: AsyncExitStack,
) -> dict[WorkKind, Handling]:
    """How an archive is asked for commitment; the association ends with `stack`."""
    serve = serving(ArchiveReports(store, clock).take)
    requestor = Requestor(peer, proposals(PUSH_MODEL), idle_seconds=destination.idle_seconds, serve=serve)
    stack.push_async_callback(requestor.close)
    seconds = destination.commitment_seconds
    handling = Handling(
        Committing(destination.name, store, requestor, breaker, clock, seconds).look,
        concurrency=ASKING,
        first_retry_seconds=destination.retry.first_seconds,
        max_retry_seconds=destination.retry.max_seconds,
        gate=breaker,
    )
    return {commitments_of(destination.name): handling}
