"""`give-up`: work that is not to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import By, ConfigFile, Note, user_of_system
from gateway.cli.output import Reply, each
from gateway.clock import now
from gateway.records.row_ids import WorkRow

if TYPE_CHECKING:
    from gateway.operations.give_up import Decision
    from gateway.store import Store


@cli.command("give-up", epilog='Example: gateway give-up d12 d13 --note "test patient"')
def give_up(
    note: Note,
    ids: Annotated[list[str] | None, typer.Argument(help="d12: a delivery (12 alone, too)")] = None,
    cause: Annotated[
        list[str] | None, typer.Option(help="All deliveries of a cause that 'gateway parked --by-cause' lists")
    ] = None,
    by: By = "",
    config: ConfigFile = None,
) -> None:
    """Give up deliveries that are parked, rejected or waiting. They stay, with the note; a replay takes it back.

    Ends with 1 when any of them could not be; the others are given up all the same.
    """
    from gateway.operations.give_up import Decision

    rows = [_row(written) for written in ids or ()]
    if not rows and not cause:
        raise typer.BadParameter("name deliveries, or give --cause")
    decision = Decision(by or user_of_system(), note)

    async def work(store: Store) -> int:
        return await _give_up(store, rows, cause or (), decision)

    if with_store(configuration(config), work):
        raise typer.Exit(1)


async def _give_up(store: Store, rows: list[WorkRow], causes: list[str] | tuple[()], decision: Decision) -> int:
    from gateway.operations import give_up as operation

    async def one(row: WorkRow) -> Reply:
        await operation.give_up(store, [row], decision, now)
        return Reply(f"d{row}: given up")

    async def all_of(key: str) -> Reply:
        done, left = await operation.give_up_cause(store, key, decision, now)
        return Reply(f"{key}: {len(done)} deliveries, given up", left)

    return await each(causes, all_of) + await each(rows, one)


def _row(written: str) -> WorkRow:
    digits = written.removeprefix("d")
    if not digits.isdigit():
        raise typer.BadParameter(f"{written!r} is not a delivery such as d12; 'gateway parked' lists what waits")
    return WorkRow(int(digits))
