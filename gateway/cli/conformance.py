"""`conformance`: what this gateway serves over DICOM."""

from __future__ import annotations

from gateway.cli.commands import cli
from gateway.cli.context import configuration
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import say_json, say_lines


@cli.command(epilog="Example: gateway conformance -c gateway.yaml > conformance.md")
def conformance(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """The DICOM conformance statement of this configuration, as Markdown: services, SOP classes, keys, statuses."""
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.served import statement
    from gateway.operations.conformance import as_data, markdown

    settings = configuration(config)
    sections = statement(settings, load_mappings(settings))
    if as_json:
        say_json(as_data(sections))
    else:
        say_lines(markdown(sections).rstrip("\n").split("\n"))
