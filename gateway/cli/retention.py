"""`retention`, `hold`, `release`: what is deleted by its age, and what is kept from it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, By, ConfigFile, Note, user_of_system
from gateway.cli.output import CommandFailure, say, say_json, say_lines, time_text
from gateway.clock import now

if TYPE_CHECKING:
    from gateway.config.tree import Config
    from gateway.records.legal_hold import LegalHold
    from gateway.store import Store

retention = typer.Typer(
    help="Delete what is older than the ages of the configuration.", rich_markup_mode=None, invoke_without_command=True
)
cli.add_typer(retention, name="retention")


@retention.callback(epilog="Example: gateway retention --dry-run")
def show(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="What a run would delete, and why the rest stays")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What the last run deleted, or with --dry-run what the next would. 'gateway retention run' deletes now."""
    if context.invoked_subcommand is not None:
        return
    from gateway.operations.retention_preview import preview
    from gateway.operations.retention_view import kinds_kept, kinds_shown, lines
    from gateway.store import retention_runs

    settings = configuration(config)
    if dry_run:
        ages = _ages(settings)
        shown = kinds_shown(with_store(settings, lambda store: preview(store, ages, now())))
        say_json([asdict(one) for one in shown]) if as_json else say_lines(lines(shown, verb="would go"))
        if not as_json and any(any(one.deleted.values()) for one in shown) and any(one.stayed for one in shown):
            say("what stays only because of rows that would go may go in the same run")
        return
    last = with_store(settings, lambda store: store.read(retention_runs.last))
    shown = kinds_kept(last["tallies"]) if last is not None else []
    if as_json:
        run = {key: last[key] for key in ("begun_at", "ended_at", "bytes_before", "bytes_after")} if last else None
        say_json({"run": run, "kinds": [asdict(one) for one in shown]})
    elif last is None:
        say("nothing was deleted yet")
    else:
        ended = f"ended {time_text(last['ended_at'])}" if last["ended_at"] else f"at {last['kind']}"
        say_lines([f"begun {time_text(last['begun_at'])}, {ended}", *lines(shown, verb="deleted")])


@retention.command("run", epilog="Example: gateway retention run")
def run_now(
    fast: Annotated[bool, typer.Option("--fast", help="Without pauses: when no gateway works on the database")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete what is old enough now, also while the gateway runs. One process does at a time."""
    from gateway.operations.retention import Ended, RetentionRun
    from gateway.operations.retention_pace import Pace
    from gateway.operations.retention_view import kinds_shown, lines

    settings = configuration(config)
    ages = _ages(settings)

    async def work(store: Store) -> Ended:
        pace = Pace(unit_seconds=0.1) if fast else Pace(always_shared=True)
        return await RetentionRun(store, ages, now, pace=pace).run()

    ended = with_store(settings, work)
    shown = kinds_shown(ended.tallies)
    if as_json:
        sizes = {"bytes_before": ended.bytes_before, "bytes_after": ended.bytes_after}
        say_json({**sizes, "kinds": [asdict(one) for one in shown]})
        return
    say_lines(lines(shown, verb="deleted"))
    say_lines(_space(ended))


@retention.command(epilog="Example: gateway retention forget 1.2.840.113619.2.55")
def forget(
    studies: Annotated[list[str], typer.Argument(help="Study Instance UIDs")],
    config: ConfigFile = None,
) -> None:
    """Take what has come again of studies that were deleted by their age for the whole: EHRs are sent it."""
    from gateway.records.identifiers import StudyInstanceUID
    from gateway.store import deleted_studies, settling

    def unit(connection: Any) -> int:
        number = deleted_studies.forget(connection, studies)
        for uid in studies:
            settling.ask(connection, StudyInstanceUID(uid), now=now())
        return number

    number = with_store(configuration(config), lambda store: store.write(unit))
    say(f"{number} forgotten; what is here is sent")


def _space(ended: Any) -> list[str]:
    if ended.bytes_before is None:
        return ["PostgreSQL reuses the space after autovacuum; VACUUM FULL gives it back to the disk"]
    sizes = f"database file: {ended.bytes_before / 1e6:,.1f} MB before, {ended.bytes_after / 1e6:,.1f} MB after"
    cure = [] if ended.can_shrink else ["it keeps its length: 'gateway db compact' once, with the gateway stopped"]
    return [sizes, *cure]


def _ages(settings: Config) -> Any:
    ages = settings.retention.ages
    if not ages.days:
        raise CommandFailure("nothing is deleted: retention has no ages in the configuration (docs/retention.md)")
    return ages


Number = Annotated[str | None, typer.Argument(metavar="PATIENT|ACCESSION", help="Patient ID or accession number")]
Issuer = Annotated[str, typer.Option(help="Of the Patient ID [default: whoever gave it]")]
AsPatient = Annotated[bool, typer.Option("--patient", help="It is a Patient ID, also if nothing here has it")]
AsAccession = Annotated[bool, typer.Option("--accession", help="It is an accession number, also if nothing has it")]


@cli.command(epilog='Example: gateway hold 4711 --issuer HOSP --note "case 12/26"')
def hold(
    number: Number = None,
    note: Note = "",
    issuer: Issuer = "",
    patient: AsPatient = False,
    accession: AsAccession = False,
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Keep a patient or an order from every deletion until 'gateway release'; without a number: list the holds."""
    if number is None:
        _list(configuration(config), as_json)
        return
    from gateway.operations.hold import hold as put

    wanted = _change(put, number, issuer, patient, accession, by, note, config)
    say_json(asdict(wanted)) if as_json else say(f"{wanted}: on legal hold")


@cli.command(epilog='Example: gateway release 4711 --issuer HOSP --note "case 12/26 is closed"')
def release(
    number: Annotated[str, typer.Argument(metavar="PATIENT|ACCESSION", help="Patient ID or accession number")],
    note: Note = "",
    issuer: Issuer = "",
    patient: AsPatient = False,
    accession: AsAccession = False,
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a legal hold back: retention may delete the patient or the order again."""
    from gateway.operations.hold import release as take_back

    wanted = _change(take_back, number, issuer, patient, accession, by, note, config)
    say_json(asdict(wanted)) if as_json else say(f"{wanted}: released")


def _change(
    change: Any, number: str, issuer: str, patient: bool, accession: bool, by: str, note: str, config: Any
) -> LegalHold:
    from gateway.operations.hold import HoldDecision, meant
    from gateway.records.legal_hold import HoldOn, LegalHold

    if patient and accession:
        raise typer.BadParameter("give --patient or --accession")
    decision = HoldDecision(by or user_of_system(), note, now())

    def unit(connection: Any) -> LegalHold:
        if patient or accession:
            wanted = LegalHold(HoldOn.PATIENT if patient else HoldOn.ACCESSION, number, issuer)
        else:
            wanted = meant(connection, number, issuer=issuer)
        change(connection, wanted, decision)
        return wanted

    held: LegalHold = with_store(configuration(config), lambda store: store.write(unit))
    return held


def _list(settings: Config, as_json: bool) -> None:
    from gateway.store import legal_holds

    rows = with_store(settings, lambda store: store.read(partial(legal_holds.listing, limit=1000)))
    if as_json:
        say_json(rows)
        return
    for row in rows:
        of = f" of {row['issuer']}" if row["issuer"] else ""
        say(f"{row['subject']} {row['value']}{of}: since {time_text(row['held_at'])}, {row['person']}: {row['note']}")
    if not rows:
        say("nothing is on legal hold")
