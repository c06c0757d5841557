"""`reconcile`: archive against gateway against EHRs."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import say, say_json
from gateway.clock import now

if TYPE_CHECKING:
    from gateway.operations.reconcile import Report
    from gateway.records.reconciliation import Difference
    from gateway.store import Store

_DAYS = ["%Y-%m-%d", "%Y%m%d"]


@cli.command(epilog="Example: gateway reconcile --since 2026-01-01 --fix")
def reconcile(
    since: Annotated[datetime, typer.Option(help="First Study Date", formats=_DAYS)],
    until: Annotated[datetime | None, typer.Option(help="Last Study Date [default: today]", formats=_DAYS)] = None,
    source: Annotated[list[str] | None, typer.Option(help="This archive of studies.sources alone")] = None,
    ehr: Annotated[list[str] | None, typer.Option(help="This EHR alone")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Read or deliver once more what is missing or different")] = False,
    withdraw_extra: Annotated[
        bool, typer.Option("--withdraw-extra", help="With --fix: let EHRs mark as in error what nobody else knows")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare archives, the gateway and the EHRs: which studies are missing, different or extra, and why.

    Repairs are queued once all has been compared. Exit code 1: there are differences, or not all was compared.
    """
    from gateway.assembly.reconcile import reconciliation, today_of
    from gateway.operations.reconcile import Report, Span

    settings = configuration(config)
    last = until.date() if until is not None else today_of(settings, now)
    if since.date() > last:
        raise typer.BadParameter("it lies behind --until", param_hint="--since")
    report = Report(Span(since.date(), last))
    found: list[Difference] = []

    async def work(store: Store) -> None:
        names: dict[str, Any] = {"sources": source or (), "ehrs": ehr or ()}
        async with reconciliation(settings, store, now, report.span, **names) as comparison:
            run = comparison.run(report, fix=fix, withdraw_extra=withdraw_extra, progress=_progress(report))
            async for one in run:
                if as_json:
                    found.append(one)
                else:
                    say(_line(one))

    with_store(settings, work)
    if as_json:
        say_json({**report.as_json(), "found": [_as_json(one) for one in found]})
    else:
        _summary(report, fix=fix)
    if report.differences:
        raise typer.Exit(1)


def _line(one: Difference) -> str:
    return f"{one.study_uid}: {one.kind.value} at {one.place}: {one.reason}"


def _as_json(one: Difference) -> dict[str, str]:
    return {
        "study_uid": one.study_uid, "kind": one.kind.value, "place": one.place, "reason": one.reason,
        "repair": one.repair.value, "source": one.source,
    }  # fmt: skip


def _summary(report: Report, *, fix: bool) -> None:
    for note in report.notes:
        say(f"not looked at: {note}")
    counts = ", ".join(f"{number} {kind} at {place}" for (place, kind), number in sorted(report.counts.items()))
    what = f"{report.studies} studies of {report.days} days compared: {counts or 'no difference'}"
    say(f"{what}; {report.repaired} repairs queued" if fix else what)


def _progress(report: Report) -> Any:
    """Long work says on standard error how far it is, where somebody watches."""
    if not sys.stderr.isatty():
        return lambda _day: None
    days = len(report.span.days)

    def show(day: date) -> None:
        typer.echo(f"{day.isoformat()}: {report.days} of {days} days, {report.differences} differences", err=True)

    return show
