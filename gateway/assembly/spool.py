"""The spool of pixel files, where the site keeps them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from gateway.assembly.background import keep_trying
from gateway.assembly.implementation import implementation_uid
from gateway.assembly.instance_lock import hold_folder
from gateway.clock import Clock
from gateway.config.image_destinations import ImageDestination
from gateway.config.studies import GIGABYTE
from gateway.config.tree import Config
from gateway.journey.image_forwarding.queueing import queue_instance
from gateway.journey.image_forwarding.removal import ImageRemoval
from gateway.journey.study_arrival.pixels import PixelKeeping
from gateway.journey.study_arrival.spool_keeping import SpoolKeeping
from gateway.operations.state.spool import SpoolSeen, seen
from gateway.records.image_forwarding import ForwardingRule
from gateway.spool import GroupSync, Spool
from gateway.store import Store
from gateway.wire.dimse.server import VERSION_NAME


def forwarding_rules(config: Config) -> tuple[ForwardingRule, ...]:
    """The destinations of instances; empty: there are none."""
    ours: list[ImageDestination] = [one for one in config.dicom.destinations if one.store]
    ours += config.studies.forward_to
    return tuple(
        ForwardingRule(one.name, frozenset(one.calling_aes), frozenset(one.modalities), frozenset(one.sop_classes))
        for one in ours
    )


def spool_of(config: Config) -> Spool | None:
    """The spool that the configuration has; None: there never was one. With `headers` it gets no more files."""
    section = config.studies.spool
    if section.folder is None:
        return None
    quota = None if section.quota_gb is None else round(section.quota_gb * GIGABYTE)
    return Spool(
        section.folder, quota, round(section.free_gb * GIGABYTE),
        implementation_uid=implementation_uid(config), version_name=VERSION_NAME,
    )  # fmt: skip


async def open_spool(config: Config, store: Store, clock: Clock) -> SpoolKeeping | None:
    """The spool, ready for what arrives. Raises `ConfigError` or `Unavailable`."""
    if (spool := spool_of(config)) is None:
        return None
    keeping = SpoolKeeping(store, spool, clock, is_alone=_is_alone(store))
    await keeping.begin()
    return keeping


def _is_alone(store: Store) -> bool:
    return store.engine.dialect.name == "sqlite"


async def keep_pixels(
    config: Config,
    store: Store,
    clock: Clock,
    stack: AsyncExitStack,
    start: Callable[[str, Coroutine[Any, Any, None]], object],
) -> tuple[SpoolKeeping | None, PixelKeeping | None]:
    """Start what keeps the spool in step, and what keeps instances with their pixels until archives have them.

    Raises `ConfigError` or `Unavailable`.
    """
    if (keeping := await open_spool(config, store, clock)) is None:
        return None, None
    hold_folder(keeping.spool.folder, stack, alone=_is_alone(store))
    start("spool", keep_trying("keeping of the spool", keeping.run, longest_seconds=60.0))
    removal = ImageRemoval(store, keeping.spool.folder, config.studies.spool.keep_hours, clock)
    start("removal", keep_trying("the removal of files that every destination has", removal.run))
    if config.studies.storage == "headers":
        return keeping, None
    syncing = GroupSync(keeping.spool)
    stack.push_async_callback(syncing.close)
    return keeping, PixelKeeping(keeping.spool, syncing, partial(queue_instance, rules=forwarding_rules(config)))


def seen_of(keeping: SpoolKeeping | None) -> Callable[[], SpoolSeen] | None:
    """What shows how the spool is; None where there is none."""
    return None if keeping is None else partial(seen, keeping)
