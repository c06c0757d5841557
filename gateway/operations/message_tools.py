"""What explaining and trying a kept message takes: the mappings in force and the rules of each listener."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.journey.order_intake.reading import MessageReader
from gateway.mapping import Mappings
from gateway.operations.replay import DryRun


@dataclass(frozen=True, slots=True)
class MessageTools:
    mappings: Mappings
    reader: MessageReader
    dry_run: DryRun
    listeners: Sequence[str]
    """Names; the first is whose rules are those of messages that belong to none."""
