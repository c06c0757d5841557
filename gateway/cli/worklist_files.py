"""`import-worklist`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import complain, say_json, say_lines
from gateway.clock import now


@cli.command(name="import-worklist", epilog="Example: gateway import-worklist /var/lib/worklists --sender HOSPITAL")
def import_worklist(
    folder: Annotated[Path, typer.Argument(help="Folder with .wl files, with or without a folder for each AE title")],
    sender: Annotated[
        str, typer.Option(help="Sending facility (MSH-4, else MSH-3) of the RIS whose accession numbers these are")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would become of each file")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take over the worklist files of DCMTK's wlmscpfs or Orthanc as orders. May be repeated; files are only read.

    Values that the RIS has sent for an order stay. Ends with 1 when a file could not be taken; the others are.
    """
    from gateway.assembly import orders, readers
    from gateway.assembly.mappings import load_mappings
    from gateway.operations.import_worklist import NOT_TAKEN, Import, files_in, lines

    settings = configuration(config)
    reader, policy = readers.make_reader(settings, load_mappings(settings)), orders.scheduling_policy(settings)
    paths = list(files_in(folder))
    counts: Counter[str] = Counter()

    async def work(store: Any) -> list[Any]:
        done = []
        async for taken in Import(store, reader, policy, now, sender).take(paths, dry_run=dry_run):
            counts[taken.what] += 1
            done.append(asdict(taken))
            _report(taken.remarks, len(done), len(paths))
        return done

    done = with_store(settings, work, create=True)
    say_json(done) if as_json else say_lines(lines(counts))
    if counts[NOT_TAKEN]:
        raise typer.Exit(1)


def _report(remarks: Sequence[str], done: int, total: int) -> None:
    """Say on standard error what could not be taken, and how far a long import is."""
    for remark in remarks:
        complain(remark)
    if done % 1000 == 0:
        complain(f"{done} of {total} files ...")
