"""Worklist files of another server (DCMTK's wlmscpfs, Orthanc) become orders, so that a site can switch in a minute.

A file is kept as it came, like a message, and is part of its order's history: as the oldest word, so whatever the RIS
sends of the order afterwards, or has sent before, counts for more.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import ConfigError, DuplicateKey, GatewayError, Rejected, Unavailable
from gateway.journey import scheduling
from gateway.journey.order_intake.reading import WORKLIST_FILE, MessageReader, internal
from gateway.records.message import MessageState
from gateway.records.order import OrderedProcedure
from gateway.store import Store, message_ties, messages
from gateway.wire.dimse import part10 as dicom_file

CREATED, UPDATED, SAME, OF_RIS, NOT_TAKEN = "created", "updated", "already there", "known from the RIS", "not taken"
TOGETHER: Final = 64
"""Files that share a transaction."""
SUFFIXES: Final = frozenset({".wl", ".dcm"})
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file."""

    file: str
    what: str
    accession: str = ""
    why: str = ""
    """Attribute and cure, when it was not taken."""
    findings: tuple[str, ...] = ()
    """What of the file was left out, and where."""

    @property
    def remarks(self) -> list[str]:
        """Lines for people: why the file was not taken, or what of the file was left out."""
        return [f"{self.file}: {text}" for text in ([self.why] if self.why else self.findings)]


class _UndoImportError(Exception):
    def __init__(self, taken: Taken) -> None:
        super().__init__()
        self.taken = taken


def files_in(folder: Path) -> Iterator[Path]:
    """Worklist files below a folder, or the one that is named: by their suffix, or because they begin as DICOM files
    do; what was written last comes last. Raises `ConfigError` when there is nothing by that name."""
    if not folder.exists():
        raise ConfigError([f"{folder}: there is no such file or folder"])
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*"), key=_written):
        if path.is_file() and (path == folder or path.suffix.lower() in SUFFIXES or _begins_as_dicom(path)):
            yield path


def _written(path: Path) -> tuple[int, Path]:
    try:
        return path.stat().st_mtime_ns, path
    except OSError:
        return 0, path


def _begins_as_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return dicom_file.is_file(file.read(132))
    except OSError:
        return False


class Import:
    """`sender`: whose accession numbers the files hold, in the words of MSH-4 (else MSH-3) of the RIS's messages;
    empty: nobody knows."""

    def __init__(
        self, store: Store, reader: MessageReader, policy: scheduling.Policy, clock: Clock, sender: str
    ) -> None:
        self._store = store
        self._reader = reader
        self._policy = replace(policy, unknown_order="reject")
        self._clock = clock
        self._listener = f"{WORKLIST_FILE}{sender}"

    async def take(self, paths: Iterable[Path], *, dry_run: bool = False) -> AsyncIterator[Taken]:
        """Each file in its turn: of two that contradict each other the later counts.

        Raises `Unavailable` when the database is away; what was reported by then is kept.
        """
        remaining = iter(paths)
        while batch := await asyncio.to_thread(_read_some, remaining, 1 if dry_run else TOGETHER):
            some, read = zip(*batch, strict=True)
            for taken in await asyncio.gather(*map(self._take, some, read, itertools.repeat(dry_run))):
                yield taken

    async def _take(self, path: Path, raw: bytes | OSError, dry_run: bool) -> Taken:
        if isinstance(raw, OSError):
            return Taken(str(path), NOT_TAKEN, why=f"cannot be read: {raw.strerror}")
        now = self._clock()
        reading = self._reader.read(raw, now, self._listener)
        if reading.error is not None:
            return Taken(str(path), NOT_TAKEN, why=_told(reading.error))
        [statement] = reading.statements
        assert isinstance(statement, OrderedProcedure)

        def unit(connection: Connection) -> Taken:
            taken = self._keep(connection, path, raw, statement, now)
            if dry_run:
                raise _UndoImportError(taken)
            return taken

        try:
            return await self._store.write(unit)
        except _UndoImportError as undone:
            return undone.taken
        except Rejected as error:
            return Taken(str(path), NOT_TAKEN, _accession_number(statement), _refused(error))
        except Unavailable:
            raise
        except Exception as error:
            # A fault of ours with one file is no reason to leave the others.
            log.exception("a worklist file could not be taken")
            return Taken(str(path), NOT_TAKEN, _accession_number(statement), _told(internal(error)))

    def _keep(self, connection: Connection, path: Path, raw: bytes, statement: OrderedProcedure, now: int) -> Taken:
        digest = hashlib.sha256(raw).digest()
        sender, control_id = self._listener, digest.hex()[:20]
        accession_number = _accession_number(statement)
        if messages.earlier(connection, sender=sender, control_id=control_id, digest=digest).ack is not None:
            return Taken(str(path), SAME, accession_number)
        order = scheduling.find(connection, statement)
        if order is not None and order.row is not None:
            previous = messages.bodies_of_orders(connection, order.row)
            if any(not one["listener"].startswith(WORKLIST_FILE) for one in previous):
                return Taken(str(path), OF_RIS, accession_number)
        applied = scheduling.apply(connection, [statement], now=now, policy=self._policy, history=self._reader.history)
        findings = [finding.as_row() for finding in statement.findings] + applied.findings
        row = messages.add(
            connection, sender=sender, control_id=control_id, digest=digest, received_at=now, listener=sender,
            peer=path.name, type="worklist file", body=raw, state=MessageState.APPLIED, ack_code="AA", ack=b"",
            findings=findings,
        )  # fmt: skip
        outcomes = {number: outcome for number, outcome in applied.orders if number is not None}
        message_ties.tie(connection, row, outcomes, applied.patients)
        what = CREATED if CREATED in outcomes.values() else UPDATED
        return Taken(
            str(path), what, accession_number, findings=tuple(f"{one['place']}: {one['text']}" for one in findings)
        )


def _read_some(paths: Iterator[Path], most: int) -> list[tuple[Path, bytes | OSError]]:
    """The next files, at most so many, with their bytes. Blocks: the paths may come from a folder that is walked."""
    return [(path, _bytes_of(path)) for path in itertools.islice(paths, most)]


def _bytes_of(path: Path) -> bytes | OSError:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _accession_number(statement: OrderedProcedure) -> str:
    return str(statement.order.get("AccessionNumber") or "")


def _told(error: GatewayError) -> str:
    return f"{error.place}: {error.message}" if error.place else error.message


def _refused(error: GatewayError) -> str:
    """Scheduling names places of a message; in a file they are attributes."""
    if str(error.place).startswith("PID"):
        text = "another patient's order has this accession number or Study Instance UID; mend it or the Patient ID"
        return f"PatientID: {text}"
    if isinstance(error, DuplicateKey):
        return "StudyInstanceUID: it belongs to another order; give the file its own"
    return _told(error)


def lines(counts: Counter[str]) -> Iterator[str]:
    """The report for people."""
    for what in (CREATED, UPDATED, SAME, OF_RIS, NOT_TAKEN):
        if counts[what]:
            yield f"{counts[what]:>7}  {what}"
    if not counts:
        yield "no worklist file (.wl, .dcm, or beginning as DICOM files do) there"
