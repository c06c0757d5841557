"""Instances on their way to archives: who gets which, and how they are sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, get_args

from gateway.clock import Clock
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.tree import Config
from gateway.journey.image_forwarding.auditing import SentImages
from gateway.journey.image_forwarding.by_cstore import CStoreSender
from gateway.journey.image_forwarding.correcting import Correcting
from gateway.journey.image_forwarding.station import ImageForwarding
from gateway.mapping.corrections.correcting import CorrectionMapping
from gateway.pixels.pool import Pool
from gateway.records.audit import AuditEvent
from gateway.records.correction import CorrectionSet
from gateway.records.image_forwarding import ForwardingRule
from gateway.spool import Spool
from gateway.store import Store
from gateway.wire.dimse import command
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_store import StorageRequestor
from gateway.work.breaker import Breaker
from gateway.work.worker import Handling

CLAIMED: Final = 16
"""Instances of an association that are claimed at once: while one is sent, what came of others is written."""
PRIORITIES: Final = {"low": command.LOW, "medium": command.MEDIUM, "high": command.HIGH}


def forwarding_rules(config: Config) -> tuple[ForwardingRule, ...]:
    """The destinations of instances; empty: there are none."""
    return tuple(
        ForwardingRule(one.name, frozenset(one.calling_aes), frozenset(one.modalities), frozenset(one.sop_classes))
        for one in config.dicom.destinations
        if one.store
    )


def correcting_of(
    config: Config, destination: DicomDestination, store: Store, mapping: CorrectionMapping, pool: Pool, clock: Clock
) -> Correcting | None:
    """What is corrected on the way to a destination; None: nothing."""
    wanted = destination.corrections
    if not wanted:
        return None
    sets = get_args(CorrectionSet) if wanted is True else wanted
    system, zone = config.dicom.ae_title, config.site.zone
    return Correcting(store, mapping, frozenset(sets), pool.corrected, system=system, zone=zone, clock=clock)


def handling_of_images(
    destination: DicomDestination,
    peer: RequestedPeer,
    store: Store,
    spool: Spool,
    breaker: Breaker,
    clock: Clock,
    note: Callable[[AuditEvent], None],
    pool: Pool,
    correcting: Correcting | None,
    stack: AsyncExitStack,
) -> Handling:
    """How instances are sent to a destination, decoded by `pool` where it takes them so alone; associations end with
    `stack`."""
    requestor = StorageRequestor(peer, associations=destination.associations, idle_seconds=destination.idle_seconds)
    stack.push_async_callback(requestor.close)
    sent = SentImages(destination.name, peer.place, note, clock)
    stack.push_async_callback(sent.close)
    sender = CStoreSender(requestor, PRIORITIES[destination.priority])
    station = ImageForwarding(destination.name, store, spool, sender, breaker, sent, pool.decoded, correcting)
    return Handling(
        station.forward,
        concurrency=CLAIMED * destination.associations,
        first_retry_seconds=destination.retry.first_seconds,
        max_retry_seconds=destination.retry.max_seconds,
        gate=breaker,
        refill=CLAIMED // 2,
    )
