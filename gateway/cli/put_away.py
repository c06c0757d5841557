"""`put-away`: what a person has looked at calls for nobody any more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import By, ConfigFile, user_of_system
from gateway.cli.output import Reply, each
from gateway.clock import now
from gateway.records.put_away import Kind, PutAway

if TYPE_CHECKING:
    from gateway.store import Store

Named = tuple[Kind, int]
LONGEST_ID: Final = 18
"""Digits of what a database takes for an id."""


@cli.command(name="put-away", epilog='Example: gateway put-away m7 r12 --note "test messages of the vendor"')
def put_away(
    ids: Annotated[list[str] | None, typer.Argument(help="m7: a message; r12: what arrived unreadable")] = None,
    cause: Annotated[list[str] | None, typer.Option(help="All of a cause that 'gateway parked' lists")] = None,
    note: Annotated[str, typer.Option(help="Why; kept")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let them call for a person again")] = False,
    by: By = "",
    config: ConfigFile = None,
) -> None:
    """Put away messages that were not applied and what arrived unreadable, with a note. Nothing is deleted.

    Ends with 1 when any of them could not be; the others are put away all the same.
    """
    named = [_parse_id(text) for text in ids or ()]
    if not named and not cause:
        raise typer.BadParameter("name what to put away, or give --cause")
    if undo and cause:
        raise typer.BadParameter("--undo goes with ids: what was put away has no open cause")
    if not undo and not note.strip():
        raise typer.BadParameter("say why: --note")
    settings = configuration(config)
    if undo:
        work = partial(_take_back, named)
    else:
        work = partial(_put_away, named, cause or (), PutAway(now(), by or user_of_system(), note))
    if with_store(settings, work):
        raise typer.Exit(1)


async def _take_back(named: Sequence[Named], store: Store) -> int:
    from gateway.store import put_away

    async def take_back(one: Named) -> Reply:
        kind, number = one
        await store.write(lambda connection: put_away.take_back(connection, kind, [number]))
        return Reply(f"{kind}{number}: calls for a person again")

    return await each(named, take_back)


async def _put_away(named: Sequence[Named], causes: Sequence[str], by: PutAway, store: Store) -> int:
    from gateway.operations.put_away import put_cause_away
    from gateway.store import put_away

    async def put(one: Named) -> Reply:
        kind, number = one
        await store.write(lambda connection: put_away.put_away(connection, kind, [number], by))
        return Reply(f"{kind}{number}: put away")

    async def put_cause(key: str) -> Reply:
        return Reply(f"{key}: {await put_cause_away(store, key, by)} put away")

    return await each(causes, put_cause) + await each(named, put)


def _parse_id(written: str) -> Named:
    kind, digits = written[:1], written[1:]
    if kind not in list(Kind) or not digits.isdecimal() or len(digits) > LONGEST_ID:
        raise typer.BadParameter(f"{written!r} is not an id such as m7 or r12; 'gateway parked' lists what waits")
    return Kind(kind), int(digits)
