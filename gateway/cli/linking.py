"""`unlinked`, `link`, `unlink`: what was performed without an order that is known to be its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import Accession, AsJson, By, ConfigFile, Order, row_of, user_of_system
from gateway.cli.output import say_answer, say_json, say_lines
from gateway.clock import now

if TYPE_CHECKING:
    from gateway.operations.answers.performed_steps import LinkOutcome
    from gateway.operations.link_by_hand import Wish

PerformedStep = Annotated[str, typer.Argument(metavar="UID", help="SOP Instance UID of the performed step")]
Step = Annotated[str, typer.Option("--step", help="Scheduled Procedure Step ID, where the order has several")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the link")]


@cli.command(epilog="Example: gateway unlinked")
def unlinked(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many")] = 20,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Performed steps that wait for an order or a person, and the orders that may be meant. Nothing is linked."""
    from gateway.operations.unlinked import lines
    from gateway.operations.unlinked import unlinked as waiting

    steps = with_store(
        configuration(config), lambda store: store.read(lambda connection: waiting(connection, limit=limit))
    )
    if as_json:
        say_json([one.model_dump(mode="json") for one in steps])
    else:
        say_lines(lines(steps) if steps else ["every performed step is linked to what was ordered"])


@cli.command(epilog='Example: gateway link 1.2.840.113619.2.55 --accession 00042000001 --reason "walk-in"')
def link(
    performed_step: PerformedStep,
    order: Order = None,
    accession: Accession = "",
    step: Step = "",
    reason: Reason = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Link a performed step to what was ordered. The order then has its begin and end; who, when and why are kept."""
    from gateway.operations.link_by_hand import Wish, link

    wish = Wish(performed_step, by or user_of_system(), reason, row_of(order), accession, step)
    _change(config, as_json, link, wish)


@cli.command(epilog='Example: gateway unlink 1.2.840.113619.2.55 --reason "another patient"')
def unlink(
    performed_step: PerformedStep,
    order: Order = None,
    accession: Accession = "",
    step: Step = "",
    reason: Reason = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take the link of a performed step away. The order is what it would be without; who, when and why are kept."""
    from gateway.operations.link_by_hand import Wish, unlink

    _change(
        config, as_json, unlink, Wish(performed_step, by or user_of_system(), reason, row_of(order), accession, step)
    )


def _change(config: ConfigFile, as_json: bool, change: Callable[..., LinkOutcome], wish: Wish) -> None:
    from gateway.assembly.linking import link_tools
    from gateway.assembly.mappings import load_mappings

    settings = configuration(config)
    work = partial(change, tools=link_tools(settings, load_mappings(settings)), wish=wish, now=now())
    outcome = with_store(settings, lambda store: store.write(work))
    say_answer(outcome, as_json=as_json)
