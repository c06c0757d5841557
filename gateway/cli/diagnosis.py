"""`check`, `explain`, `show`, `why`: questions that change nothing."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, file_of, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import CommandFailure, complain, say, say_json, say_lines, time_text
from gateway.clock import now


@cli.command(epilog="Example: gateway check -c gateway.yaml")
def check(
    config: ConfigFile = None,
    offline: Annotated[bool, typer.Option("--offline", help="Configuration and mappings only")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at configuration, mappings, ports, database and peers; report all faults at once."""
    from gateway.assembly.checks import check as look

    results = asyncio.run(look(configuration(config), offline=offline, file=file_of(config)))
    if as_json:
        say_json(
            [
                {"what": result.what, "ok": result.ok, "warning": result.warning, "detail": result.detail}
                for result in results
            ]
        )
    for result in results if not as_json else ():
        mark = "FAULT" if not result.ok else "note " if result.warning else "ok   "
        (say if result.ok else complain)(f"{mark}  {result.what}: {result.detail}")
    if not all(result.ok for result in results):
        raise typer.Exit(1)


class Release(StrEnum):
    R4 = "R4"
    R5 = "R5"


@cli.command(epilog="Example: gateway explain order.hl7 study/ --listener ris")
def explain(
    files: Annotated[list[Path], typer.Argument(help="HL7 messages, DICOM files or folders", exists=True)],
    config: ConfigFile = None,
    listener: Annotated[
        str | None, typer.Option(help="Read messages as those of this listener [default: the first]")
    ] = None,
    fhir_version: Annotated[Release, typer.Option(help="FHIR release of the resources that studies give")] = Release.R4,
    as_json: AsJson = False,
) -> None:
    """Dry run: what these files would become, each attribute with its source. Nothing is stored or sent."""
    from gateway.assembly.mappings import first_listener, load_mappings
    from gateway.assembly.readers import make_reader
    from gateway.operations.explain import explain as dry_run
    from gateway.operations.explain import render

    settings = configuration(config)
    mappings = load_mappings(settings)
    names = [one.name for one in settings.hl7.listeners]
    if listener is not None and listener not in names:
        raise typer.BadParameter(f"there is no listener {listener!r}; the configuration has {', '.join(names)}")
    name = listener or first_listener(settings).name
    explanations = dry_run(mappings, make_reader(settings, mappings), name, files, release=fhir_version.value)
    if as_json:
        say_json([explanation.as_json() for explanation in explanations])
    else:
        for number, explanation in enumerate(explanations):
            say_lines([*([""] if number else []), *render(explanation)])
    if any(explanation.error for explanation in explanations):
        raise typer.Exit(1)


AnyNumber = Annotated[str, typer.Argument(help="Accession number, placer or filler order number, UID or Patient ID")]


@cli.command(epilog="Example: gateway show 00042000001")
def show(number: AnyNumber, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """The journey of an order, study or patient: messages, also those not applied, worklist, study, every try."""
    from gateway.operations.journey_of import journey, lines

    result = with_store(configuration(config), lambda store: journey(store, number))
    if result is None:
        raise CommandFailure(f"no order, study, patient or message has the number {number}; find looks for names too")
    if as_json:
        say_json(result)
        return
    say_lines(lines(result))


@cli.command(epilog="Example: gateway why 00042000001 --station CT1")
def why(
    number: AnyNumber,
    station: Annotated[str, typer.Option(help="AE title of the scanner")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Why a scanner does not see an order: what its last query asked for, and what keeps each step off."""
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.worklist import why as why_not_shown
    from gateway.operations.why_not_shown import lines

    settings = configuration(config)
    mappings = load_mappings(settings)
    result = with_store(settings, lambda store: why_not_shown(settings, store, mappings, now, number, station))
    if result is None:
        raise CommandFailure(f"nothing was ordered under the number {number}")
    if as_json:
        say_json(asdict(result))
        return
    say_lines(lines(result, time_text))
