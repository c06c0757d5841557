"""What a try that failed comes to: the fate of its work, the pause before the next, and its cause for the log."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Fate, GatewayError, Unavailable, Unexplained
from gateway.records.cause import cause_of
from gateway.records.work import Work

LONGEST_WAIT_SECONDS: Final = 24 * 3600.0
"""What a receiver may ask for at most with Retry-After."""
MOST_UNEXPLAINED: Final = 5
"""So many failures without a reason of the same work bring it to a person."""
_UNEXPLAINED: Final = "doubts"
"""Member of the payload that counts them."""


def pause_after(work: Work, error: GatewayError, first_seconds: float, longest_seconds: float) -> float:
    """Seconds until the next try: what the receiver asks for, else doubling up to the longest pause, less up to a
    quarter by chance so that lanes do not return in step."""
    if isinstance(error, Unavailable) and error.retry_after is not None:
        # Zero would be a loop.
        return min(max(error.retry_after, first_seconds), LONGEST_WAIT_SECONDS)
    doubled = first_seconds * 2 ** min(work.attempts, 30)
    return float(min(doubled, longest_seconds) * random.uniform(0.75, 1.0))


def fate_of(work: Work, error: GatewayError) -> tuple[Fate, dict[str, object]]:
    """What an error comes to, and the payload of the work after it: that counts the failures without a reason."""
    if not isinstance(error, Unexplained):
        return error.fate, work.payload
    count = int(str(work.payload.get(_UNEXPLAINED, 0))) + 1
    if count < MOST_UNEXPLAINED:
        return Fate.RETRY, {**work.payload, _UNEXPLAINED: count}
    # A person who sends the work again begins anew.
    return Fate.PARK, {key: value for key, value in work.payload.items() if key != _UNEXPLAINED}


def cause_for_log(work: Work, error: GatewayError, outcome: Mapping[str, Any]) -> str:
    """The cause for the log: class, status of HTTP where there is one, and the key by which pages and commands name the
    cause. Not the text, which is the receiver's and may name a patient."""
    status = outcome.get("status")
    code = f" HTTP {status}" if isinstance(status, int) else f" {status}" if status else ""
    return f"{type(error).__name__}{code}, cause {cause_of(work.kind, outcome).key}"
