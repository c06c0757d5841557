"""The commands. Each is a thin edge: it reads options, calls one function and prints.

What a command needs is imported when it runs: DICOM dictionaries and FHIR models take a second to load, and `--help`
or `parked` need neither.
"""

from __future__ import annotations

import sys

from gateway.cli import (
    audit_trail,
    backup,
    conformance,
    database,
    diagnosis,
    erasing,
    excluding,
    exporting,
    finding,
    giving_up,
    linking,
    order_meeting,
    parked,
    people,
    put_away,
    receivers,
    reconciling,
    repeating,
    resending,
    retention,
    serving,
    simulation,
    status,
    withdrawal,
    worklist_files,
)
from gateway.cli.commands import cli
from gateway.cli.output import CommandFailure, complain
from gateway.errors import ConfigError, GatewayError

__all__ = [
    "audit_trail",
    "backup",
    "cli",
    "conformance",
    "database",
    "diagnosis",
    "erasing",
    "excluding",
    "exporting",
    "finding",
    "giving_up",
    "linking",
    "main",
    "order_meeting",
    "parked",
    "people",
    "put_away",
    "receivers",
    "reconciling",
    "repeating",
    "resending",
    "retention",
    "serving",
    "simulation",
    "status",
    "withdrawal",
    "worklist_files",
]


def main() -> None:
    """Entry point: faults go to standard error with exit code 1, wrong usage with 2."""
    try:
        cli()
    except ConfigError as error:
        for fault in error.faults:
            complain(fault)
        sys.exit(1)
    except (GatewayError, CommandFailure) as error:
        for line in str(error).split("\n"):
            complain(line)
        sys.exit(1)
