"""`reconcile`: archive against gateway against EHRs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import say, say_json
from gateway.clock import local_day, now

if TYPE_CHECKING:
    from gateway.config.tree import Config
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
    from gateway.operations.reconcile import Report, Span

    settings = configuration(config)
    first, last = since.date(), until.date() if until is not None else local_day(now(), settings.site.zone)
    if first > last:
        raise typer.BadParameter("it lies behind --until", param_hint="--since")
    report = Report(Span(first, last))
    shown: list[Difference] = []
    show = shown.append if as_json else _say
    names = {"sources": source or (), "ehrs": ehr or ()}
    _compare(settings, report, show, names, {"fix": fix, "withdraw_extra": withdraw_extra})
    if as_json:
        say_json({**report.as_json(), "found": [_as_json(one) for one in shown]})
    else:
        _summary(report, fix=fix)
    if report.differences:
        raise typer.Exit(1)


def _compare(
    settings: Config, report: Report, show: Callable[[Difference], None], names: dict[str, Any], wish: dict[str, bool]
) -> None:
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.reconcile import reconciliation

    mappings = load_mappings(settings)

    async def work(store: Store) -> None:
        async with reconciliation(settings, store, mappings, now, report.span, **names) as comparison:
            async for one in comparison.run(report, progress=_progress(report), **wish):
                show(one)

    with_store(settings, work)


def _say(one: Difference) -> None:
    say(f"{one.study_uid}: {one.kind.value} at {one.place}: {one.reason}")


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
