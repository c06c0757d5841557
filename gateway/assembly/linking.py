"""Links of performed steps that a person makes or takes away, and the watch over performed steps that hang."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gateway.assembly.performed_steps import consequences_of
from gateway.assembly.readers import make_reader
from gateway.clock import Clock, now
from gateway.config.tree import Config
from gateway.journey import scheduling
from gateway.journey.performed_step.attaching import Tools
from gateway.journey.performed_step.watching import SilenceWatch
from gateway.mapping import Mappings
from gateway.records.silence import SilenceRule
from gateway.store import Store


def link_tools(config: Config, mappings: Mappings, clock: Clock = now) -> Tools:
    """The history of an order, read with today's mappings, and what follows from a change of a performed step."""
    history = partial(scheduling.whole_history, messages=make_reader(config, mappings).history)
    return Tools(history, consequences_of(config, clock, mappings))


def make_silence_watch(
    config: Config, store: Store, mappings: Mappings, clock: Clock, since: Callable[[int], int]
) -> SilenceWatch:
    """The watch with the hours of the site; `since` gives how long ago the clock showed a moment."""
    own = config.performed_steps
    rule = SilenceRule(own.silent_hours, own.silent_hours_of, own.close_silent)
    return SilenceWatch(store, link_tools(config, mappings, clock), rule, clock, since)
