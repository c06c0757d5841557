"""`find`: orders, patients, studies and messages by a number or a name."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import CommandFailure, say_json, say_lines
from gateway.records.lookup import NOT_APPLIED, StepFilter
from gateway.records.step import StepState

State = StrEnum("State", [*((state.name, state.value) for state in StepState), ("NOT_APPLIED", NOT_APPLIED)])  # type: ignore[misc]


@cli.command(epilog="Example: gateway find 00042000001")
def find(
    text: Annotated[
        str, typer.Argument(help="Accession number, Patient ID, name, order number, UID, MSH-10; '' with a filter")
    ],
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Scheduled on that day")] = None,
    modality: Annotated[str, typer.Option(help="With a step of this modality")] = "",
    station: Annotated[str, typer.Option(help="With a step for this AE title")] = "",
    state: Annotated[State | None, typer.Option(help="With a step in this state; not-applied: messages")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Find orders, patients, studies and messages, also messages that were not applied."""
    from gateway.operations.search import Search, lines, search

    settings = configuration(config)
    narrow = StepFilter(f"{day:%Y%m%d}" if day else "", modality, station, state.value if state else "")
    wanted = Search(settings.site.zone, text.strip(), narrow)
    hits = with_store(settings, lambda store: store.read(lambda connection: search(connection, wanted)))
    if as_json:
        say_json(hits.model_dump(mode="json"))
    elif not hits.count:
        raise CommandFailure("no order, patient, study or message is found by this")
    else:
        say_lines(lines(hits))
