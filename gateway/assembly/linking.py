"""What links of performed steps that a person makes or takes away need."""

from __future__ import annotations

from functools import partial

from gateway.assembly.performed_steps import consequences_of
from gateway.assembly.readers import make_reader
from gateway.config.tree import Config
from gateway.journey import scheduling
from gateway.journey.performed_step.attaching import Tools
from gateway.mapping import Mappings


def link_tools(config: Config, mappings: Mappings) -> Tools:
    """The history of an order, read with today's mappings, and what follows from a change of a performed step."""
    history = partial(scheduling.whole_history, messages=make_reader(config, mappings).history)
    return Tools(history, consequences_of(config))
