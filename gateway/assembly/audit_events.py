"""Events of the audit trail about peers that were refused, and about the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.clock import Clock
from gateway.records.audit import GATEWAY, Action, Actor, ActorKind, AuditEvent, AuditKind, AuditType, Outcome

MINUTE: Final = 60 * 1_000_000
MOST_KNOWN: Final = 1_000


def refused_peer(peer: Actor, why: str, moment: int) -> AuditEvent:
    """A peer was not let in."""
    return AuditEvent(
        AuditKind.SECURITY_ALERT, Action.EXECUTE, moment, peer, AuditType.NODE_AUTHENTICATION, Outcome.MINOR_FAILURE,
        note=why,
    )  # fmt: skip


def reloaded(moment: int, *, is_in_force: bool) -> AuditEvent:
    """The configuration was read again."""
    note = "the configuration was reloaded" if is_in_force else "the configuration has faults and was not reloaded"
    outcome = Outcome.SUCCESS if is_in_force else Outcome.MINOR_FAILURE
    return AuditEvent(
        AuditKind.SECURITY_ALERT, Action.EXECUTE, moment, GATEWAY, AuditType.SOFTWARE_CONFIGURATION, outcome, note=note
    )


class RefusedConnections:
    """Connections that were turned away: an event a minute for each address and reason, with how many there were since
    the one before."""

    def __init__(self, note: Callable[[AuditEvent], None], clock: Clock) -> None:
        self._note = note
        self._clock = clock
        self._last: dict[tuple[str, str, str], tuple[int, int]] = {}
        """Listener, address and reason -> when the last event was, and how many came since."""

    def note(self, listener: str, address: str, why: str) -> None:
        """`listener`: a name of the configuration, or the protocol."""
        now, key = self._clock(), (listener, address, why)
        at, number = self._last.pop(key, (None, 0))
        if at is not None and now - at < MINUTE:
            self._last[key] = at, number + 1
            return
        self._last[key] = now, 0
        if len(self._last) > MOST_KNOWN:
            del self._last[next(iter(self._last))]
        more = f", and {number} more since the last event" if number else ""
        peer = Actor(address, ActorKind.CLIENT, address)
        self._note(refused_peer(peer, f"{listener}: a connection was refused ({why}){more}", now))
