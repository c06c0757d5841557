"""Instances on their way to archives and folders: how they are sent to each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, get_args

from gateway.assembly.breakers import DESTINATION_SILENCE_SECONDS, breaker_of
from gateway.assembly.commitment import commitments_wanted
from gateway.assembly.http_receivers import authorization_of, tls_of
from gateway.assembly.spool import spool_of
from gateway.clock import Clock
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.image_destinations import ForwardTo, ImageDestination
from gateway.config.tree import Config
from gateway.journey.image_forwarding.auditing import SentImages
from gateway.journey.image_forwarding.by_cstore import CStoreSender
from gateway.journey.image_forwarding.by_stow import StowSender
from gateway.journey.image_forwarding.committing import CommitmentsWanted
from gateway.journey.image_forwarding.compressing import Compressing
from gateway.journey.image_forwarding.correcting import Correcting
from gateway.journey.image_forwarding.into_folder import FolderSender
from gateway.journey.image_forwarding.sending import Sender
from gateway.journey.image_forwarding.station import ImageForwarding
from gateway.mapping.corrections.correcting import CorrectionMapping
from gateway.observe import metrics
from gateway.pixels.pool import Pool
from gateway.records.audit import AuditEvent
from gateway.records.correction import CorrectionSet
from gateway.records.windows import Windows
from gateway.records.work import WorkKind, images_to
from gateway.spool import Spool
from gateway.spool.drop_folder import DropFolder
from gateway.store import Store
from gateway.wire.dicomweb.storing import StowClient
from gateway.wire.dimse import command
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_store import StorageRequestor
from gateway.work.breaker import Breaker
from gateway.work.handling import Handling
from gateway.work.pacing import Pacing

CLAIMED: Final = 16
"""Instances of an association, or connection, that are claimed at once: while one is sent, outcomes are written."""
PRIORITIES: Final = {"low": command.LOW, "medium": command.MEDIUM, "high": command.HIGH}


@dataclass(frozen=True, slots=True)
class ImageParts:
    """What the destinations of instances share."""

    config: Config
    store: Store
    mapping: CorrectionMapping
    spool: Spool | None
    """None: there are no files to send."""
    pool: Pool
    clock: Clock
    note: Callable[[AuditEvent], None]
    stack: AsyncExitStack
    """Ends what destinations have open."""

    @classmethod
    def of(
        cls,
        config: Config,
        store: Store,
        mapping: CorrectionMapping,
        clock: Clock,
        note: Callable[[AuditEvent], None],
        stack: AsyncExitStack,
    ) -> ImageParts:
        """Parts that end with `stack`."""
        pool = Pool()
        stack.push_async_callback(pool.close)
        return cls(config, store, mapping, spool_of(config), pool, clock, note, stack)


def images_by_cstore(
    destination: DicomDestination, peer: RequestedPeer, breaker: Breaker, parts: ImageParts
) -> dict[WorkKind, Handling]:
    """How instances are sent to a destination of DICOM, if it gets any."""
    if not destination.store:
        return {}
    requestor = StorageRequestor(peer, associations=destination.associations, idle_seconds=destination.idle_seconds)
    parts.stack.push_async_callback(requestor.close)
    sender = CStoreSender(requestor, PRIORITIES[destination.priority])
    commitments = commitments_wanted(parts.config, destination, parts.clock)
    return _handling(destination, sender, destination.associations, breaker, parts, commitments)


async def kinds_of_forward_to(config: Config, parts: ImageParts) -> dict[WorkKind, Handling]:
    """The instances for archives with STOW-RS and for folders. Raises `ConfigError` when a certificate, key or token
    file cannot be used."""
    kinds: dict[WorkKind, Handling] = {}
    for one in config.studies.forward_to:
        breaker = breaker_of(
            one.name,
            one.retry,
            parts.store.steady,
            longest_silence=DESTINATION_SILENCE_SECONDS,
            gauge=metrics.DICOM_DESTINATION_OPEN,
        )
        kinds |= _handling(one, await _sender_of(one, parts.stack), one.concurrency, breaker, parts)
    return kinds


async def _sender_of(destination: ForwardTo, stack: AsyncExitStack) -> Sender:
    if destination.folder is None:
        return StowSender(await stack.enter_async_context(stow_client_of(destination)))
    folder = DropFolder(destination.folder, destination.timeout_seconds, destination.concurrency)
    stack.push_async_callback(folder.close)
    return FolderSender(folder)


def stow_client_of(destination: ForwardTo, most_seconds: float | None = None) -> StowClient:
    """Raises `ConfigError`."""
    return StowClient(
        destination.url,
        timeout_seconds=min(destination.timeout_seconds, most_seconds or destination.timeout_seconds),
        authorization=authorization_of(destination),
        ssl=tls_of(destination),
        proxy=destination.proxy,
        connections=destination.concurrency,
    )


def _correcting(destination: ImageDestination, parts: ImageParts) -> Correcting | None:
    """What is corrected on the way to a destination; None: nothing."""
    wanted = destination.corrections
    if not wanted:
        return None
    sets = get_args(CorrectionSet) if wanted is True else wanted
    system, zone = parts.config.dicom.ae_title, parts.config.site.zone
    return Correcting(
        parts.store, parts.mapping, frozenset(sets), parts.pool.corrected, system=system, zone=zone, clock=parts.clock
    )


def _compressing(destination: ImageDestination, sender: Sender, parts: ImageParts) -> Compressing | None:
    if not destination.compress:
        return None
    # Only who compresses waits for the encoders.
    from gateway.pixels.encoders import ENCODERS

    method = destination.compress
    return Compressing(sender, parts.pool.compressed, method, ENCODERS[method].syntax)


def _pacing(destination: ImageDestination, parts: ImageParts) -> Pacing | None:
    windows, rate = Windows.of(destination.windows, parts.config.site.zone), destination.rate_per_minute
    if windows is None and rate is None:
        return None
    return Pacing(parts.clock, parts.store.steady, windows=windows, per_minute=rate)


def _handling(
    destination: ImageDestination,
    sender: Sender,
    at_once: int,
    breaker: Breaker,
    parts: ImageParts,
    commitments: CommitmentsWanted | None = None,
) -> dict[WorkKind, Handling]:
    if parts.spool is None:
        return {}
    sent = SentImages(destination.name, sender.place, parts.note, parts.clock)
    parts.stack.push_async_callback(sent.close)
    station = ImageForwarding(
        destination.name, parts.store, parts.spool, sender, breaker, sent, parts.pool.decoded,
        _correcting(destination, parts), _compressing(destination, sender, parts), commitments,
    )  # fmt: skip
    handling = Handling(
        station.forward,
        concurrency=CLAIMED * at_once,
        first_retry_seconds=destination.retry.first_seconds,
        max_retry_seconds=destination.retry.max_seconds,
        gate=breaker,
        pacing=_pacing(destination, parts),
        refill=CLAIMED // 2,
    )
    return {images_to(destination.name): handling}
