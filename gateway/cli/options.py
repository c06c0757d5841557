"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

ConfigFile = Annotated[
    Path | None, typer.Option("-c", "--config", help="Configuration file [default: ./gateway.yaml if there is one]")
]

MOMENTS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]
