"""Options that several commands share."""

from __future__ import annotations

import getpass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.records.row_ids import OrderRow

ConfigFile = Annotated[
    Path | None, typer.Option("-c", "--config", help="Configuration file [default: ./gateway.yaml if there is one]")
]

MOMENTS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]

By = Annotated[str, typer.Option("--by", help="Who decides [default: the user of the system]")]
Note = Annotated[str, typer.Option("--note", help="Why, for those who come later; kept")]

Order = Annotated[int | None, typer.Option("--order", min=1, max=2**63 - 1, help="Id of the order")]
Accession = Annotated[str, typer.Option("--accession", help="Accession number of the order")]


def row_of(order: int | None) -> OrderRow | None:
    """The order that `--order` names; None: none is named."""
    return None if order is None else OrderRow(order)


def user_of_system() -> str:
    """The name under which a decision made at the command line is kept."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "the command line"


def microseconds(moment: datetime, zone: tzinfo) -> int:
    """A moment as the store counts time; without an offset of its own, the moment is in `zone`."""
    return int(moment.replace(tzinfo=moment.tzinfo or zone).timestamp() * 1_000_000)
