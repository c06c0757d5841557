"""How work of each kind is done: by which handler, how much of it at once, and how it is tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from gateway.records.work import Work
from gateway.store import outbox_claims
from gateway.work.lease import Lease
from gateway.work.pacing import Pacing

Handler = Callable[[Work, Lease], Awaitable[outbox_claims.Done]]


def committing(do: Callable[[Work], Awaitable[outbox_claims.Done]]) -> Handler:
    """The handler of work that changes the database alone: the commit that closes the work sees whether the lease was
    lost."""

    async def handle(work: Work, _lease: Lease) -> outbox_claims.Done:
        return await do(work)

    return handle


class Lost(Protocol):
    """What follows from a lease that was lost."""

    def __call__(self, connection: Connection, work: Work) -> None: ...


class Gate(Protocol):
    """Whether a kind of work may be taken up now."""

    def admits(self, free: int, under_way: int) -> int:
        """How many of `free` places may be filled, while `under_way` are."""

    def opens_in(self) -> float:
        """Seconds until asking again makes sense."""


@dataclass(frozen=True, slots=True)
class Handling:
    """How one kind of work is done."""

    handler: Handler
    concurrency: int = 4
    lease_seconds: float = 60.0
    first_retry_seconds: float = 2.0
    max_retry_seconds: float = 600.0
    gate: Gate | None = None
    is_prompt: bool = True
    """Whether a commit that leaves due work wakes it; else it looks once a second, for what nobody waits for."""
    when_lost: Lost | None = None
    """What follows, in a transaction, when another worker took work over that this process may have sent."""
    pacing: Pacing | None = None
    """Hours and rate of the receiver."""
    ahead: outbox_claims.ReadAhead | None = None
    """What is read of work by the transaction that claims the work."""
    refill: int = 1
    """So many places must be free for more to be claimed beside what is under way: claiming costs a transaction."""

    def admits(self, under_way: int) -> int:
        free = self.concurrency - under_way
        if under_way and free < self.refill:
            return 0
        return min((gate.admits(free, under_way) for gate in self._gates), default=free)

    @property
    def _gates(self) -> list[Gate]:
        return [gate for gate in (self.gate, self.pacing) if gate is not None]

    def opens_in(self) -> float:
        """Seconds until asking again makes sense, where nothing is admitted; 0: when what is under way ends."""
        return max((gate.opens_in() for gate in self._gates), default=0.0)
