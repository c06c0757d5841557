"""`export`: a de-identified copy for analytics."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, file_of, with_store
from gateway.cli.options import AsJson, ConfigFile, user_of_system
from gateway.cli.output import complain, say, say_json
from gateway.clock import now
from gateway.operations.export.treatment import Retained
from gateway.operations.export.writers import Format, check

if TYPE_CHECKING:
    from gateway.operations.export.manifest import ExportedFile
    from gateway.operations.export.plan import ExportPlan
    from gateway.operations.export.pseudonyms import Pseudonyms
    from gateway.store import Store

REPORT_SECONDS: Final = 2.0
KEY_NAME: Final = "export.key"
_TERMINATED: Final = 128 + signal.SIGTERM
"""Exit code of a program that SIGTERM ended."""
_DAY: Final = ["%Y-%m-%d"]


@cli.command(epilog="Example: gateway export --from 2026-01-01 --to 2026-01-31 --format parquet --out january")
def export(
    first: Annotated[datetime, typer.Option("--from", metavar="DAY", help="First day, of the site", formats=_DAY)],
    last: Annotated[datetime, typer.Option("--to", metavar="DAY", help="Last day, this one too", formats=_DAY)],
    out: Annotated[Path, typer.Option(help="Folder for the files; a new one, or an empty one")],
    form: Annotated[Format, typer.Option("--format", help="Parquet needs the extra 'analytics'")] = Format.CSV,
    key: Annotated[
        Path | None,
        typer.Option(help=f"Key of the pseudonyms, made if absent [default: {KEY_NAME} beside the configuration]"),
    ] = None,
    retain: Annotated[
        list[Retained] | None, typer.Option(help="Keep names of devices or institutions; can be given twice")
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Write orders, steps, times, studies, series and instances without identities, also while the gateway runs.

    Names, numbers and texts are left out, identifiers become pseudonyms, dates of a patient go back by one number of
    days; equal keys make equal pseudonyms. Keep the key where the export does not go.
    """
    from gateway.operations.export.plan import ExportPlan

    if last < first:
        raise typer.BadParameter("--to is before --from")
    settings = configuration(config)
    check(form)
    pseudonyms = _pseudonyms(key or _beside(config), out)
    plan = ExportPlan(first.date(), last.date(), settings.site.zone, form, frozenset(retain or ()))
    # What is written is taken away on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(_TERMINATED))
    files = with_store(settings, partial(_export, plan, pseudonyms, out.absolute()))
    _report(files, out, as_json=as_json)


def _pseudonyms(key: Path, out: Path) -> Pseudonyms:
    """Of the key in a file, which is made if there is none."""
    from gateway.operations.export.key_file import secret_of
    from gateway.operations.export.pseudonyms import Pseudonyms

    if key.absolute().is_relative_to(out.absolute()):
        raise typer.BadParameter("--key would lie in the folder of the export, and leave with it")
    secret, is_new = secret_of(key)
    if is_new:
        complain(f"{key} made: keep it, and keep it away from the export")
    return Pseudonyms(secret)


def _beside(config: Path | None) -> Path:
    file = file_of(config)
    return file.parent / KEY_NAME if file is not None else Path(KEY_NAME)


async def _export(plan: ExportPlan, pseudonyms: Pseudonyms, out: Path, store: Store) -> list[ExportedFile]:
    from gateway.operations.export.noting import note
    from gateway.operations.export.run import export as write

    async def noted(files: Sequence[ExportedFile]) -> None:
        await store.write(partial(note, plan=plan, files=files, out=out, person=user_of_system(), now=now()))

    return await write(store, plan, pseudonyms, out, on_progress=_reporter(), before_publishing=noted)


def _reporter() -> Callable[[str, int, int], None]:
    reported = time.monotonic()

    def report(what: str, done: int, whole: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            complain(f"{what}: {done:,} of {whole:,}")

    return report


def _report(files: Sequence[ExportedFile], out: Path, *, as_json: bool) -> None:
    if as_json:
        rows: dict[str, Any] = {one.table: {"file": one.name, "rows": one.rows, "sha256": one.digest} for one in files}
        say_json({"folder": str(out), "files": rows})
        return
    for one in files:
        say(f"{out / one.name}: {one.rows:,} rows, {one.octets / 1e6:,.1f} MB")
