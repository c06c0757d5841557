"""`unmatched`, `release-study`, `link-study`, `unlink-study`: studies without an order, or whose order states something
else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import Accession, AsJson, By, ConfigFile, Note, Order, row_of, user_of_system
from gateway.cli.output import say_answer, say_json, say_lines
from gateway.clock import now
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.order_check import OrderStanding

if TYPE_CHECKING:
    from gateway.operations.answers.answer import Answer
    from gateway.operations.order_meeting import StudyWish

StudyUid = Annotated[str, typer.Argument(metavar="UID", help="Study Instance UID")]


@cli.command(epilog="Example: gateway unmatched")
def unmatched(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many of each")] = 20,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Studies that are held because their order states something else, then those that have no order."""
    from gateway.operations.order_meeting import lines, open_studies

    standings = (OrderStanding.HELD, OrderStanding.UNMATCHED)
    every = with_store(
        configuration(config),
        lambda store: store.read(partial(open_studies, limit=limit, standings=standings)),
    )
    if as_json:
        say_json([one.model_dump(mode="json") for one in every])
    else:
        say_lines(lines(every) if every else ["every study has its order"])


@cli.command(epilog='Example: gateway release-study 1.2.840.113619.2.55 --note "married name, asked the ward"')
def release_study(uid: StudyUid, note: Note, by: By = "", config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Deliver a study although its order states something else. Another difference holds it again."""
    from gateway.operations.order_meeting import StudyWish, release

    _change(config, as_json, release, StudyWish(StudyInstanceUID(uid), by or user_of_system(), note))


@cli.command(epilog='Example: gateway link-study 1.2.840.113619.2.55 --accession 00042000001 --note "walk-in"')
def link_study(
    uid: StudyUid,
    order: Order = None,
    accession: Accession = "",
    note: Note = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Link a study with an order, whatever numbers its images have. Who, when and why are kept."""
    from gateway.operations.order_meeting import link

    _change(config, as_json, link, _wish(uid, order, accession, note, by))


@cli.command(epilog='Example: gateway unlink-study 1.2.840.113619.2.55 --order 17 --note "another patient"')
def unlink_study(
    uid: StudyUid,
    order: Order = None,
    accession: Accession = "",
    note: Note = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take an order away from a study: no number of its images leads there any more. Who, when and why are kept."""
    from gateway.operations.order_meeting import unlink

    _change(config, as_json, unlink, _wish(uid, order, accession, note, by))


def _wish(uid: str, order: int | None, accession: str, note: str, by: str) -> StudyWish:
    from gateway.operations.order_meeting import StudyWish

    person = by or user_of_system()
    return StudyWish(StudyInstanceUID(uid), person, note, row_of(order), AccessionNumber(accession))


def _change(config: ConfigFile, as_json: bool, change: Callable[..., Answer], wish: StudyWish) -> None:
    unit = partial(change, wish=wish, now=now())
    outcome = with_store(configuration(config), lambda store: store.write(unit))
    say_answer(outcome, as_json=as_json)
