"""Performed steps: the station that keeps them, and what other stations do about a change."""

from __future__ import annotations

from functools import partial

from gateway import mapping
from gateway.assembly.readers import make_reader
from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.journey import scheduling
from gateway.journey.performed_step.consequences import Consequence
from gateway.journey.performed_step.station import PerformedSteps
from gateway.store import Store


def make_performed_steps(config: Config, store: Store, mappings: mapping.Mappings, clock: Clock) -> PerformedSteps:
    """The station that every way into the gateway shares."""
    history = partial(scheduling.whole_history, messages=make_reader(config, mappings).history)
    strict = frozenset(peer.ae_title for peer in config.dicom.peers if peer.mpps == "strict")
    return PerformedSteps(
        store, history, clock, zone=config.site.zone, strict=strict, consequences=consequences_of(config)
    )


def consequences_of(config: Config) -> tuple[Consequence, ...]:
    """What the configuration wants done about a performed step that changes; each queues its work."""
    return ()
