"""The proof of the audit trail: each row builds on the one before, from the anchor to the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson
from sqlalchemy import Connection, select

from gateway.errors import InvalidValue
from gateway.store import Store, audit
from gateway.store.audit import FORGOTTEN_HASH, FORGOTTEN_TO, START, Link, columns_of, hash_of
from gateway.store.audit_listing import ChainRow, patients_between, rows_after
from gateway.store.chunks import chunks
from gateway.store.schema import audit_repositories, audit_waiting

BATCH: Final = 1_000
_REWRITTEN: Final = "the hash is not the one that was noted; all was rewritten"
_FORGOTTEN: Final = f'"{FORGOTTEN_TO}"'

Progress = Callable[[int], None]
"""Rows that were walked so far."""


class Damage(StrEnum):
    """What happened to a row."""

    ALTERED = "altered"
    MISSING = "missing"
    PUT_IN = "put in"


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first row that is not as it was chained."""

    sequence: int
    damage: Damage
    text: str

    def __str__(self) -> str:
        return f"row {self.sequence} ({self.damage}): {self.text}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What the walk showed."""

    rows: int
    begins_behind: int
    """Sequence of the anchor; 0: nothing was removed."""
    head: Link
    """The last row whose chain is whole: a note of it elsewhere proves later that nothing was cut off."""
    waiting: int
    """Events that are not chained yet."""
    fault: ChainFault | None = None


async def verify(store: Store, *, head: Link | None = None, on_progress: Progress = lambda rows: None) -> Verified:
    """Walk the whole chain, in batches. `head`: a row that was noted earlier, which must still be there.

    Raises `Unavailable`, and `InvalidValue` for a `head` that was removed by the rule of its age.
    """
    begin = await store.read_long(audit.beginning)
    if head is not None and head.sequence < begin.sequence:
        text = f"row {head.sequence} was removed by the rule of its age, so that nothing is compared: give a newer head"
        raise InvalidValue(text, place="head")
    walk = Walk(begin, head, BATCH)
    if head is not None and head.sequence == begin.sequence and head.hash != begin.hash:
        walk.fault = ChainFault(head.sequence, Damage.ALTERED, _REWRITTEN)
    while walk.fault is None and await store.read_long(walk.next_rows):
        on_progress(walk.rows)
    fault = walk.fault or await store.read_long(walk.ends)
    waiting = await store.read_long(audit.number_waiting)
    return Verified(walk.rows, walk.begin.sequence, walk.link, waiting, fault)


class Walk:
    """A walk along the chain from `begin`, in reads of `batch` rows. `noted`: a row that must still be there."""

    def __init__(self, begin: Link, noted: Link | None, batch: int) -> None:
        self.begin = begin
        self._noted = noted
        self._batch = batch
        self.link = begin
        self.rows = 0
        self.fault: ChainFault | None = None
        self._forgotten: set[tuple[int, str]] = set()
        """What events about removed rows state."""

    def next_rows(self, connection: Connection) -> bool:
        """Walk on; whether there were any rows and no fault."""
        going = self._walked(connection)
        if self.fault is not None and (anchor := audit.beginning(connection)).sequence >= self.fault.sequence:
            # Their age has removed rows meanwhile.
            self.begin = self.link = anchor
            self.fault = None
            return True
        return going

    def _walked(self, connection: Connection) -> bool:
        rows = rows_after(connection, self.link.sequence, limit=self._batch + 1)
        batch = rows[: self._batch]
        begun = self.link.sequence
        for row, behind in zip(batch, [*rows[1:], None], strict=False):
            self.fault = self._fault_of(row, behind)
            if self.fault is not None:
                return False
            self.link = Link(row.sequence, row.hash)
            self.rows += 1
            self._forgotten |= _stated(row.event)
        if batch:
            self.fault = _index_fault(connection, batch, begun + 1)
        return bool(batch)

    def _fault_of(self, row: ChainRow, behind: ChainRow | None) -> ChainFault | None:
        expected = self.link.sequence + 1
        if row.sequence != expected:
            gone = f"row {expected}" if row.sequence == expected + 1 else f"rows {expected} to {row.sequence - 1}"
            return ChainFault(expected, Damage.MISSING, f"{gone} are gone" if "to" in gone else f"{gone} is gone")
        if hash_of(self.link.hash, row.sequence, row.event) != row.hash:
            if behind is not None and hash_of(self.link.hash, row.sequence, behind.event) == behind.hash:
                return ChainFault(row.sequence, Damage.PUT_IN, "the row behind builds on the row before")
            return ChainFault(row.sequence, Damage.ALTERED, "event and hash do not belong together")
        try:
            columns, _ = columns_of(row.event)
        except ValueError:
            return ChainFault(row.sequence, Damage.ALTERED, "the event cannot be read")
        if columns != {"moment": row.moment, "kind": row.kind, "actor": row.actor}:
            return ChainFault(row.sequence, Damage.ALTERED, "moment, kind or actor are not those of the event")
        noted = self._noted
        if noted is not None and noted.sequence == row.sequence and noted.hash != row.hash:
            return ChainFault(row.sequence, Damage.ALTERED, _REWRITTEN)
        return None

    def ends(self, connection: Connection) -> ChainFault | None:
        """What the end and the beginning of the chain show, once all rows were walked."""
        sent = connection.execute(select(audit_repositories.c.name, audit_repositories.c.sequence)).all()
        anchor = audit.beginning(connection)
        texts = connection.execute(select(audit_waiting.c.events).order_by(audit_waiting.c.id)).scalars()
        self._forgotten |= {stated for text in texts for event in text.split("\n") for stated in _stated(event)}
        # What was chained meanwhile, so that it may be sent already.
        while self.next_rows(connection):
            pass
        if self.fault is not None:
            return self.fault
        last = self.link.sequence
        for row in sent:
            if row.sequence > last:
                return ChainFault(last + 1, Damage.MISSING, f"{row.name} was sent up to row {row.sequence}")
        if (fault := self._cut_off()) is not None:
            return fault
        if anchor != Link(0, START) and (anchor.sequence, anchor.hash.hex()) not in self._forgotten:
            return ChainFault(
                anchor.sequence + 1, Damage.MISSING, "the beginning was removed, and no event of the chain states that"
            )
        return None

    def reaches_noted(self, connection: Connection) -> ChainFault | None:
        """What the end of the chain shows to a walk that has not begun at the anchor."""
        noted = self._noted
        if noted is None or audit.beginning(connection).sequence >= noted.sequence:
            return None
        return self._cut_off()

    def _cut_off(self) -> ChainFault | None:
        last, noted = self.link.sequence, self._noted
        if noted is None or noted.sequence <= last:
            return None
        return ChainFault(last + 1, Damage.MISSING, f"row {noted.sequence} was noted")


def _stated(event: str) -> set[tuple[int, str]]:
    """The anchor that an event states. Peers choose names of their own, and may be called as the detail is."""
    if _FORGOTTEN not in event:
        return set()
    try:
        detail = orjson.loads(event)["detail"]
        return {(int(detail[FORGOTTEN_TO]), str(detail[FORGOTTEN_HASH]))}
    except (ValueError, KeyError, TypeError):
        return set()


def _index_fault(connection: Connection, rows: Sequence[ChainRow], first: int) -> ChainFault | None:
    """A row whose patients are not those by which it is found."""
    expected = {(patient, row.sequence) for row in rows for patient in columns_of(row.event)[1]}
    names = sorted({patient for patient, _ in expected})
    there: set[tuple[str, int]] = set()
    for chunk in chunks(names, 400):
        there |= patients_between(connection, chunk, first, rows[-1].sequence)
    odd = sorted(sequence for _, sequence in expected ^ there)
    return ChainFault(odd[0], Damage.ALTERED, "the index of patients is not that of the event") if odd else None
