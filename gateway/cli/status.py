"""`status`: how each part of the gateway is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.asking import ask
from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import say_json, say_lines
from gateway.clock import now

if TYPE_CHECKING:
    from gateway.config.tree import Config


@cli.command(epilog="Example: gateway status -c gateway.yaml")
def status(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """How each part of the gateway is, and what calls for a person. Exit code 0: all is good; 1: something is not."""
    settings = configuration(config)
    state: dict[str, Any] = ask(settings, "/api/state") or _of_database(settings)
    if as_json:
        say_json(state)
    else:
        say_lines(_lines(state))
    if state["level"] != "good":
        raise typer.Exit(1)


def _of_database(settings: Config) -> dict[str, Any]:
    """What the database tells where no gateway serves."""
    from gateway.assembly.state import sources_of
    from gateway.operations.answers.state import GatewayState, PartState
    from gateway.operations.state.reading import state_of

    sources = sources_of(settings, now)
    state = GatewayState.of(with_store(settings, lambda store: state_of(store, sources))).model_dump()
    where = f"port {settings.http.port}" if settings.http.port else "a port of the system's choice (http.port 0)"
    detail = f"no gateway answers at {where}: this is what the database and the files tell"
    nobody = PartState(kind="gateway", name="", level="bad", detail=detail, facts=[], page="/")
    return {**state, "level": "bad", "parts": [nobody.model_dump(), *state["parts"]]}


def _lines(state: dict[str, Any]) -> Iterator[str]:
    yield f"{state['level'].upper()}: gateway {state['version']} at {state['at'][:19]}Z"
    for part in state["parts"]:
        name = " ".join(filter(None, (part["kind"], part["name"])))
        facts = ", ".join(_fact(fact) for fact in part["facts"] if fact["value"] not in ("", 0))
        yield f"{part['level']:4}  {name}: {part['detail']}{f' ({facts})' if facts else ''}"


def _fact(fact: dict[str, Any]) -> str:
    value = fact["value"]
    if fact["form"] == "moment":
        return f"{fact['name']} {value[:19]}Z"
    if fact["form"] == "bytes":
        return f"{fact['name']} {value / 2**30:,.1f} GiB"
    return f"{fact['name']} {value}{'+' if fact['is_bound'] else ''}"
