"""`conformance`: what this gateway serves and asks for over DICOM, HL7 v2 and FHIR."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import CommandFailure, say_json, say_lines
from gateway.operations.conformance.sections import StatementName


class StatementFormat(StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"
    FHIR = "fhir"


_Name = Annotated[StatementName, typer.Argument(help="What the statement is about")]
_Format = Annotated[
    StatementFormat, typer.Option("--format", help="A page; or fhir: the CapabilityStatements, in a Bundle")
]


@cli.command(epilog="Example: gateway conformance dicom --format html -c gateway.yaml > conformance.html")
def conformance(
    name: _Name = StatementName.DICOM,
    form: _Format = StatementFormat.MARKDOWN,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The conformance statement of this configuration: services, messages, resources, fields, codes, limits."""
    from gateway.assembly.conformance.fhir_capability import bundle
    from gateway.assembly.conformance.statements import STATEMENTS
    from gateway.assembly.mappings import load_mappings
    from gateway.clock import now
    from gateway.operations.conformance.html import html
    from gateway.operations.conformance.markdown import markdown
    from gateway.operations.conformance.sections import as_data

    settings = configuration(config)
    if form is StatementFormat.FHIR:
        if name is not StatementName.FHIR:
            raise CommandFailure("only the statement of FHIR has CapabilityStatements: conformance fhir --format fhir")
        say_json(bundle(settings, now))
        return
    statement = STATEMENTS[name](settings, load_mappings(settings))
    if as_json:
        say_json(as_data(statement))
    else:
        show = html if form is StatementFormat.HTML else markdown
        say_lines(show(statement).rstrip("\n").split("\n"))
