"""Erasing a patient: what would go, the deleting in small units, and the proof that nothing is left."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.clock import Clock
from gateway.errors import Conflict, InvalidValue, UnknownKey
from gateway.operations.erase_files import places_left
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind
from gateway.records.erasure import Outside, Proof, Targets
from gateway.records.patient import Identity
from gateway.store import Store, audit, erasing, erasing_targets, erasures, legal_holds, searching
from gateway.store.chunks import chunks
from gateway.store.retention import messages as of_messages
from gateway.store.schema import backups, patients

KEPT: Final[Mapping[str, str]] = {
    "audit": "the audit trail says who saw and changed what; the law asks for it",
    "audit_patients": "by it the audit trail is searched",
    "audit_waiting": "events that are about to be chained",
}
"""Tables that an erasure leaves, and why."""
_OWN: Final = "erasures"
BY_SEARCH: Final = ("queries", "refusals", "messages")
"""Tables whose rows are found by what they hold."""
MOST_NAMED: Final = 100
SHARE: Final = 0.25
"""Of the writer's time."""
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would delete and leave."""

    targets: Targets
    deleted: Mapping[str, int]
    """Table -> rows, but for those that a search finds."""
    found: Mapping[str, int]
    """Table -> rows that a search finds."""
    waiting: int
    """Work that is not done and will not be."""
    audited: int
    """Rows of the audit trail that name the patient, which stay."""
    outside: tuple[Outside, ...]
    holds: tuple[str, ...]
    """Legal holds that forbid it."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure has done."""

    pseudonym: str
    deleted: Mapping[str, int]
    proof: Proof
    outside: tuple[Outside, ...]


async def plan(store: Store, identity: Identity) -> Plan:
    """What an erasure of the patient would do; changes nothing. Raises `UnknownKey` where nothing names the patient,
    `InvalidValue` where several have the number."""
    targets = await store.read_long(partial(_targets, identity=identity))
    hits, _ = await _searched(store, targets)
    deleted = await store.write(partial(_tried, targets=targets))
    if not deleted and not hits:
        raise UnknownKey("nothing here names this patient", place=identity.patient_id)
    found = Counter(hit.table for hit in set(hits) if hit.table in ("queries", "refusals"))
    return Plan(
        targets, deleted, found,
        waiting=await store.read_long(partial(erasing.waiting, targets=targets)),
        audited=await store.read_long(partial(erasing.audited, targets=targets)),
        outside=tuple(await store.read_long(partial(_outside, targets=targets))),
        holds=tuple(await store.read_long(partial(erasing.holds, targets=targets))),
    )  # fmt: skip


def _targets(connection: Connection, identity: Identity) -> Targets:
    with_number = select(patients.c.issuer, patients.c.merged_into).where(patients.c.patient_id == identity.patient_id)
    issuers = {row.issuer for row in connection.execute(with_number)}
    if len(issuers) > 1 and not identity.issuer:
        raise InvalidValue(
            f"several patients have it: name the issuer ({', '.join(sorted(issuers))})", place=identity.patient_id
        )
    return erasing_targets.targets_of(connection, identity)


def _tried(connection: Connection, targets: Targets) -> Counter[str]:
    """What the deleting would count: it is done, and taken back."""
    attempt = connection.begin_nested()
    tally: Counter[str] = Counter()
    while some := erasing.erase_some(connection, targets):
        tally += some
    attempt.rollback()
    return tally


def _outside(connection: Connection, targets: Targets) -> list[Outside]:
    made = select(backups.c.file).order_by(backups.c.id.desc())
    copies = [Outside(f"backup {file}", "it holds the patient until it is deleted") for file in
              connection.execute(made).scalars() if Path(file).exists()]  # fmt: skip
    return [*erasing.outside(connection, targets), *copies]


async def _searched(store: Store, targets: Targets) -> tuple[list[searching.Hit], Proof]:
    """Rows that still name the patient, and how many were read."""
    needles, proof = searching.Needles((*targets.needles, *targets.names)), Proof()
    hits: list[searching.Hit] = []
    for table in searching.tables((*KEPT, _OWN)):
        proof.tables += 1
        after: tuple[Any, ...] | None = None
        while True:
            found = await store.read_long(partial(searching.page, table=table, needles=needles, after=after))
            proof.rows_read += found.rows
            hits += found.hits
            after = found.last
            if after is None:
                break
    return hits, proof


@dataclass(slots=True)
class Erasure:
    """An erasure that a person wants; `run` may be called again after a crash (see `resumed`)."""

    store: Store
    targets: Targets
    person: str
    note: str
    clock: Clock
    file: Path | None = None
    """Of an SQLite database."""
    folders: tuple[Path, ...] = ()
    """In which the gateway keeps what is too long for memory."""
    delete_files: Callable[[], Awaitable[int]] | None = None
    """Deletes the files that no instance has any more, and returns how many; None: no pixels are kept."""
    on_progress: Progress = lambda text: None
    row: int = 0
    deleted: Counter[str] = field(default_factory=Counter)

    @property
    def pseudonym(self) -> str:
        return self.targets.pseudonym

    async def run(self) -> Erased:
        """Delete all rows of the patient, then search for what is left. Raises `Conflict` (legal hold), `InvalidValue`
        without a note, or `Unavailable`."""
        if not self.note.strip():
            raise InvalidValue("an erasure needs a note: why, for those who come later", place="note")
        await self.store.read_long(partial(_refuse_held, targets=self.targets))
        outside = tuple(await self.store.read_long(partial(_outside, targets=self.targets)))
        if not self.row:
            self.row = await self.store.write(partial(
                erasures.begin, pseudonym=self.pseudonym, targets=self.targets.as_json(), person=self.person,
                note=self.note, now=self.clock(),
            ))  # fmt: skip
        while await self._unit(erasing.erase_some):
            self.on_progress(f"{sum(self.deleted.values()):,} rows deleted")
        if self.delete_files is not None:
            self.on_progress(f"{await self.delete_files():,} files of the spool deleted")
        proof = await self._prove()
        await self.store.write(partial(self._end, proof=proof))
        proof.files |= await places_left(self.store, self.targets, self.file, self.folders)
        return Erased(self.pseudonym, +self.deleted, proof, outside)

    async def _unit(self, unit: Callable[[Connection, Targets], Counter[str]]) -> Counter[str]:
        """Some rows and the count of all so far go in one transaction. Raises `Conflict` (legal hold)."""

        def noted(connection: Connection) -> tuple[Counter[str], Targets]:
            legal_holds.keep_from_change(connection)
            targets = erasing_targets.refreshed(connection, self.targets)
            _refuse_held(connection, targets)
            tally = unit(connection, targets)
            if tally:
                deleted = dict(self.deleted + tally)
                erasures.note(connection, self.row, targets=targets.as_json(), deleted=deleted, ended_at=None)
            return tally, targets

        begun = time.perf_counter()
        tally, self.targets = await self.store.write(noted)
        self.deleted += tally
        await asyncio.sleep((time.perf_counter() - begun) * (1 / SHARE - 1))
        return tally

    async def _prove(self) -> Proof:
        """Search all tables; what names the patient among rows that only a search finds is deleted as well."""
        self.on_progress("searching all tables")
        hits, proof = await _searched(self.store, self.targets)
        for table in BY_SEARCH:
            ids = sorted({hit.key[0] for hit in hits if hit.table == table})
            for some in chunks(ids, erasing.AT_ONCE):
                await self._unit(partial(_erase_found, table=table, ids=some))
        if any(hit.table in BY_SEARCH for hit in hits):
            hits, proof = await _searched(self.store, self.targets)
        proof.left += [str(hit) for hit in hits[:MOST_NAMED]]
        audited = await self.store.read_long(partial(erasing.audited, targets=self.targets))
        proof.kept = {"audit": audited} if audited else {}
        return proof

    def _end(self, connection: Connection, proof: Proof) -> None:
        deleted = dict(+self.deleted)
        erasures.note(connection, self.row, targets={}, deleted=deleted, ended_at=self.clock())
        detail = {table: str(number) for table, number in sorted(deleted.items())}
        detail |= {"rows searched": str(proof.rows_read), "rows left": str(len(proof.left))}
        audit.record(connection, AuditEvent(
            AuditKind.PATIENT_RECORD, Action.DELETE, self.clock(), Actor(self.person, ActorKind.PERSON),
            patients=(self.pseudonym,), note=f"erased: {self.note}", detail=detail,
        ))  # fmt: skip


def _refuse_held(connection: Connection, targets: Targets) -> None:
    if held := erasing.holds(connection, targets):
        raise Conflict(f"it is on legal hold ({', '.join(held)}): release it first", place="patient")


def _erase_found(connection: Connection, _targets: Targets, *, table: str, ids: Sequence[int]) -> Counter[str]:
    if table == "messages":
        return erasing.erase_messages(connection, of_messages.without_subject(connection, ids))
    return erasing.erase_rows(connection, table, ids)


async def resumed(store: Store, clock: Clock, **places: Any) -> list[Erasure]:
    """The erasures that were broken off, to be run again."""
    return [
        Erasure(
            store, Targets.of(row["targets"]), row["person"], row["note"], clock, row=row["id"],
            deleted=Counter(row["deleted"]), **places,
        )
        for row in await store.read_long(erasures.unfinished)
    ]  # fmt: skip
