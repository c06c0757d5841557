"""The tree of commands, to which each module adds its own."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

import typer

cli = typer.Typer(
    name="gateway",
    help="HL7 orders to DICOM worklists, studies to FHIR: the gateway between RIS, modalities, PACS and EHR.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gateway {importlib.metadata.version('imaging-gateway')}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """HL7 orders to DICOM worklists, studies to FHIR: the gateway between RIS, modalities, PACS and EHR."""


simulate = typer.Typer(
    help="Play the other side: a RIS, a modality or an EHR.", no_args_is_help=True, rich_markup_mode=None
)

db = typer.Typer(help="Look after the database.", no_args_is_help=True, rich_markup_mode=None)
cli.add_typer(simulate, name="simulate")
cli.add_typer(db, name="db")

users = typer.Typer(
    help="Users of the console: make, disable, role, link for a password.", no_args_is_help=True, rich_markup_mode=None
)
tokens = typer.Typer(
    help="API tokens of programs, and of scanners that speak DICOMweb.", no_args_is_help=True, rich_markup_mode=None
)
cli.add_typer(users, name="users")
cli.add_typer(tokens, name="tokens")
audit = typer.Typer(help="Read and prove the audit trail.", no_args_is_help=True, rich_markup_mode=None)
cli.add_typer(audit, name="audit")
