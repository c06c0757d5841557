"""The states of an HL7 message that is kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class MessageState(StrEnum):
    APPLIED = "applied"
    STALE = "stale"
    """Older than what is applied: the message changed nothing."""
    STORED = "stored"
    """Of a type without effect on the worklist."""
    REJECTED = "rejected"
    """The sender has to mend something."""
    FAILED = "failed"
    """The fault is ours: a code that no table has, a setting, a database that was away."""


APPLIED: Final = (MessageState.APPLIED, MessageState.STALE, MessageState.STORED)
"""States in which a message has been dealt with for good."""
WRONG: Final = (MessageState.FAILED, MessageState.REJECTED)
"""States of a message that was not applied."""
