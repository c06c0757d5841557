"""How the messages of each listener and sender are read."""

from __future__ import annotations

from dataclasses import replace

from gateway import mapping
from gateway.assembly.mappings import first_listener, settings_of
from gateway.config.hl7 import Listener, SenderRules, SenderSource
from gateway.config.tree import Config
from gateway.journey.order_intake.reading import MessageReader
from gateway.journey.order_intake.sources import SERVED, ListenerSource, SenderRule
from gateway.mapping.orders.functions import Settings


def make_reader(config: Config, mappings: mapping.Mappings) -> MessageReader:
    """Reads messages of all listeners, kept ones too."""
    listeners = config.hl7.listeners or [first_listener(config)]
    sources = {listener.name: source_of(config, listener) for listener in listeners}
    return MessageReader(mappings.orders, mappings.worklist_files, sources, sources[first_listener(config).name])


def source_of(config: Config, listener: Listener) -> ListenerSource:
    """Who may send to a listener, and how each is read."""
    settings = settings_of(config, listener)
    return ListenerSource(
        name=listener.name,
        senders=[sender_rule(settings, listener, source) for source in listener.sources]
        or [sender_rule(settings, listener, SenderSource())],
        close_on_failure=listener.on_failure == "close",
    )


def sender_rule(settings: Settings, listener: Listener, source: SenderSource) -> SenderRule:
    rules = {name: getattr(listener, name) for name in SenderRules.model_fields}
    rules |= {name: getattr(source, name) for name in source.model_fields_set & SenderRules.model_fields.keys()}
    types = frozenset((kind, trigger) for kind, _, trigger in (one.partition("^") for one in rules["message_types"]))
    return SenderRule(
        settings=replace(settings, without_modality=rules["without_modality"]),
        application=source.application,
        facility=source.facility,
        charset=rules["charset"],
        override_charset=rules["override_charset"],
        undecodable=rules["undecodable"],
        message_types=types or SERVED,
        unserved=rules["unserved_types"],
        training=rules["training"],
        acknowledge=rules["acknowledge"],
        conformance=rules["conformance"],
        conformance_version=rules["conformance_version"],
    )
