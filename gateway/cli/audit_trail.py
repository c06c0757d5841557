"""`audit verify`, `audit list`, `audit export`: each is itself recorded."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from gateway.cli.commands import audit
from gateway.cli.context import configuration, with_store
from gateway.cli.options import MOMENTS, AsJson, ConfigFile, microseconds, user_of_system
from gateway.cli.output import CommandFailure, complain, say, say_json, say_lines, time_text
from gateway.clock import now
from gateway.operations.audit.exporting import AuditFormat
from gateway.records.audit import Actor, ActorKind, AuditKind

if TYPE_CHECKING:
    from gateway.config.tree import Config
    from gateway.operations.audit.verifying import ChainFault, Verified
    from gateway.store import Store
    from gateway.store.audit_listing import AuditFilter, AuditRow

REPORTED = 100_000
"""Rows of a walk after each of which a line says how far it is."""
Who = Annotated[str, typer.Option("--who", help="Login, AE title, MSH-3|MSH-4, name of an EHR")]
What = Annotated[AuditKind | None, typer.Option("--what", help="Kind of event")]
Patient = Annotated[str, typer.Option("--patient", help="Patient ID")]
Since = Annotated[datetime | None, typer.Option("--from", formats=MOMENTS, help="First moment")]
Until = Annotated[datetime | None, typer.Option("--to", formats=MOMENTS, help="Last moment")]


@audit.command(epilog="Example: gateway audit verify --head 48211:9f2c0d")
def verify(
    head: Annotated[str, typer.Option(help="SEQUENCE:HASH that an earlier run has printed")] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Walk the chain of the audit trail; name the first row that was altered, is missing or was put in.

    Exit code 0: the chain is whole; 1: it is not.
    """
    from gateway.operations.audit.verifying import verify as walk

    noted = _link(head)
    settings = configuration(config)

    async def work(store: Store) -> Verified:
        verified = await walk(store, head=noted, on_progress=_tell)
        fault = verified.fault
        result = f"{fault.damage} at row {fault.sequence}" if fault else "whole"
        await _used(store, "verified", {"result": result}, fault)
        return verified

    verified = with_store(settings, work)
    say_json(_as_json(verified)) if as_json else say_lines(_lines(verified))
    if verified.fault is not None:
        raise typer.Exit(1)


def _tell(rows: int) -> None:
    """Batches are of a thousand rows, so that each number is met."""
    if rows % REPORTED == 0:
        complain(f"{rows} rows")


@audit.command("list", epilog="Example: gateway audit list --patient 4711 --from 2026-11-01")
def list_events(
    who: Who = "",
    what: What = None,
    patient: Patient = "",
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest")] = 100,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Events of the audit trail, the newest first."""
    from gateway.operations.audit.exporting import as_json as json_of
    from gateway.store import audit_listing

    settings = configuration(config)
    wanted = _filter(settings, who, what, patient, since, until)

    async def work(store: Store) -> Any:
        page = await store.read(lambda connection: audit_listing.page(connection, wanted, limit=limit))
        await _used(store, "looked at", _stated(wanted))
        return page

    page = with_store(settings, work)
    if as_json:
        say_json([{"sequence": row.sequence, **json_of(row)} for row in page.rows])
        return
    for row in page.rows:
        say(_line(row))
    if not page.rows:
        complain("no event fits")


def _line(row: AuditRow) -> str:
    event = row.event
    what = " ".join(filter(None, (event.kind, event.type)))
    who = f"{event.actor.kind} {event.actor.name} {event.actor.address}"
    known = event.detail if event.kind is AuditKind.SECURITY_ALERT else {}
    detail = (f"{key}: {value}" for key, value in known.items())
    about = " ".join(filter(None, (*event.patients, *event.accession_numbers, event.note, *detail)))
    return f"{row.sequence:>8}  {time_text(event.moment)}  {event.action}{int(event.outcome):<2} {what}  {who}  {about}"


@audit.command(epilog="Example: gateway audit export --format csv --from 2026-11-01 audit.csv")
def export(
    file: Annotated[Path | None, typer.Argument(help="File to write, which must not exist; -: standard output")] = None,
    form: Annotated[AuditFormat, typer.Option("--format", help="dicom: a DICOM audit message a line")] = (
        AuditFormat.NDJSON
    ),
    who: Who = "",
    what: What = None,
    patient: Patient = "",
    since: Since = None,
    until: Until = None,
    config: ConfigFile = None,
) -> None:
    """Write events of the audit trail to a file, the oldest first. The file holds Patient IDs: mode 0600."""
    from gateway.assembly.audit import audit_source
    from gateway.operations.audit.exporting import lines

    settings = configuration(config)
    wanted = _filter(settings, who, what, patient, since, until)

    async def work(store: Store) -> int:
        await _used(store, "exported", {"format": form.value, **_stated(wanted)})
        with _opened(file) as out:
            number = 0
            async for line in lines(store, wanted, form, audit_source(settings)):
                out.write(line)
                number += 1
            return number

    number = with_store(settings, work)
    complain(f"{number - (form is AuditFormat.CSV)} events")


@contextmanager
def _opened(file: Path | None) -> Iterator[BinaryIO]:
    """A new file that only its owner may read, or standard output."""
    if file is None or str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        out = os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
    except OSError as error:
        raise CommandFailure(f"{file}: {error.strerror}") from error
    with out:
        yield out


def _filter(
    settings: Config, who: str, what: AuditKind | None, patient: str, since: datetime | None, until: datetime | None
) -> AuditFilter:
    from gateway.store.audit_listing import AuditFilter

    zone = settings.site.zone
    first, last = (None if one is None else microseconds(one, zone) for one in (since, until))
    return AuditFilter(what, who, patient, first, last)


def _stated(wanted: AuditFilter) -> dict[str, str]:
    bounds = {"from": wanted.first_at, "to": wanted.last_at}
    return {"who": wanted.actor, "what": wanted.kind or "", "patient": wanted.patient_id} | {
        name: time_text(moment) for name, moment in bounds.items() if moment is not None
    }


async def _used(store: Store, what: str, detail: Mapping[str, str], fault: ChainFault | None = None) -> None:
    """Record that somebody used the trail, and, with `fault`, that the chain is broken; chain that."""
    from gateway.operations.audit.exporting import audit_log_used, chain_broken
    from gateway.store import audit as trail
    from gateway.store.audit_log import seal_all

    person = Actor(user_of_system(), ActorKind.PERSON, socket.gethostname())
    events = [audit_log_used(person, what, now(), detail)]
    if fault is not None:
        events.append(chain_broken(person, str(fault), now()))
    for event in events:
        await store.write(partial(trail.record, happened=event))
    await seal_all(store)


def _link(head: str) -> Any:
    from gateway.store.audit import Link

    if not head:
        return None
    sequence, _, written = head.partition(":")
    try:
        return Link(int(sequence), bytes.fromhex(written))
    except ValueError as error:
        raise CommandFailure("--head: give SEQUENCE:HASH as an earlier run has printed it") from error


def _as_json(verified: Verified) -> dict[str, Any]:
    fault = verified.fault
    return {
        "rows": verified.rows, "begins_behind": verified.begins_behind, "waiting": verified.waiting,
        "head": f"{verified.head.sequence}:{verified.head.hash.hex()}",
        "fault": {"sequence": fault.sequence, "damage": fault.damage, "text": fault.text} if fault else None,
    }  # fmt: skip


def _lines(verified: Verified) -> list[str]:
    removed = f" (rows 1 to {verified.begins_behind} were removed by age)" if verified.begins_behind else ""
    if verified.fault is not None:
        fault = verified.fault
        return [
            f"BROKEN at row {fault.sequence}: {fault.damage}: {fault.text}",
            f"{verified.rows} rows before are whole",
        ]
    return [
        f"whole: {verified.rows} rows{removed}, {verified.waiting} more are not chained yet",
        f"head {verified.head.sequence}:{verified.head.hash.hex()}",
    ]
