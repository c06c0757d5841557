# Long: the options of a command are the arguments of its function, each with its help.
"""`replay`: work again on messages, deliveries and studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import MOMENTS, ConfigFile, microseconds
from gateway.cli.output import Reply, each, say, say_json, say_lines
from gateway.cli.resending import fill_ehr, resend_studies
from gateway.clock import now
from gateway.errors import UnknownKey

if TYPE_CHECKING:
    from gateway.config.tree import Config
    from gateway.operations.replay import Outcome, Repeats
    from gateway.store import Store

Request = tuple[str, Any]
"""Kind (`d` delivery, `m` message, `study`) and number or UID."""


@cli.command(epilog="Example: gateway replay d12 m7; gateway replay --ehr main --since 2026-01-23")
def replay(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="d12: a delivery (12 alone, too); m7: a message; 1.2.840...: a study by its UID"),
    ] = None,
    cause: Annotated[
        list[str] | None, typer.Option(help="All of a cause that 'gateway parked --by-cause' lists")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="All HL7 messages received from this time on, in the site's zone", formats=MOMENTS),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="As 'gateway resend UID'")] = False,
    ehr: Annotated[
        str | None,
        typer.Option(help="As 'gateway resend --ehr'"),
    ] = None,
    per_second: Annotated[float, typer.Option(min=0.01, help="Deliveries per second (--ehr)")] = 10.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what messages would change")] = False,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs (--dry-run)")] = False,
) -> None:
    """Send parked deliveries again; work on kept messages or studies again with today's mappings.

    Ends with 1 when any of them could not be; the others are replayed all the same.
    """
    requests = [_parse_id(text) for text in ids or ()]
    if not requests and not cause and since is None and ehr is None:
        raise typer.BadParameter("name what to replay, or give --cause, --since or --ehr")
    if ehr is not None and (requests or cause or dry_run or again):
        raise typer.BadParameter("--ehr goes with --since and --per-second alone")
    if again and (not requests or any(kind != "study" for kind, _ in requests)):
        raise typer.BadParameter("--again is for studies: name their UIDs")
    if dry_run and (cause or any(kind != "m" for kind, _ in requests)):
        raise typer.BadParameter("--dry-run is for messages: m7, or --since")
    settings = configuration(config)
    first = None if since is None else microseconds(since, settings.site.zone)
    if ehr is not None:
        fill_ehr(settings, ehr, first or 0, per_second)
    elif dry_run:
        _say_dry_run(with_store(settings, partial(_try, settings, requests, first, not as_json)), as_json)
    else:
        work = (
            partial(resend_studies, [uid for _, uid in requests])
            if again
            else partial(_repeat, settings, requests, cause or (), first)
        )
        if with_store(settings, work):
            raise typer.Exit(1)


async def _requests_since(store: Store, requests: Sequence[Request], first: int | None) -> list[Request]:
    from gateway.store import messages

    if first is None:
        return [*requests]
    return [*requests, *(("m", row) for row in await store.read(partial(messages.since, first=first)))]


async def _repeat(
    settings: Config,
    requests: Sequence[Request],
    causes: Sequence[str],
    first: int | None,
    store: Store,
) -> int:
    """Do what was asked for and print a line for each; returns how many failed."""
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.orders import replay_message
    from gateway.assembly.studies import make_arrival
    from gateway.operations.replay import Repeats

    mappings = load_mappings(settings)
    repeats = Repeats(
        store,
        make_arrival(settings, store, mappings, now),
        partial(replay_message, settings, store, mappings, now),
        now,
    )

    async def cause(key: str) -> Reply:
        try:
            count, remaining = await repeats.cause(key)
        except UnknownKey as nothing:
            return await _repeat_messages(key, repeats, nothing)
        return Reply(f"{key}: {count} deliveries, due now", remaining)

    async def request(wanted: Request) -> Reply:
        kind, number = wanted
        done = await repeats.repeat(kind, number)
        return Reply(f"{number if kind == 'study' else f'{kind}{number}'}: {done}")

    return await each(causes, cause) + await each(await _requests_since(store, requests, first), request)


async def _repeat_messages(key: str, repeats: Repeats, otherwise: UnknownKey) -> Reply:
    try:
        done = await repeats.message_cause(key)
    except UnknownKey:
        raise otherwise from None
    left = [f"{key}: there are more; run it again"] if done.left else []
    failed = [f"{key}: {done.failed} messages are still not applied"] if done.failed else []
    return Reply(f"{key}: {done.applied} messages applied", [*failed, *left])


async def _try(
    settings: Config, requests: Sequence[Request], first: int | None, loud: bool, store: Store
) -> list[Outcome]:
    """What working on the messages again would change; printed as the outcomes come when `loud`."""
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.orders import intakes
    from gateway.assembly.readers import make_reader
    from gateway.operations.replay import DryRun

    reader = make_reader(settings, load_mappings(settings))
    outcomes = []
    numbers = [number for _, number in await _requests_since(store, requests, first)]
    async for outcome in DryRun(store, reader, intakes(settings, store, reader, now)).outcomes(numbers):
        outcomes.append(outcome)
        if loud and (outcome.answers or outcome.changes):
            say_lines(outcome.lines())
    return outcomes


def _say_dry_run(outcomes: Sequence[Outcome], as_json: bool) -> None:
    if as_json:
        say_json([asdict(outcome) for outcome in outcomes])
        return
    count, steps = sum(outcome.messages for outcome in outcomes), sum(len(outcome.changes) for outcome in outcomes)
    answers = sum(len(outcome.answers) for outcome in outcomes)
    say(f"{count} messages: {steps} steps and {answers} answers would differ. Nothing was changed.")


def _parse_id(written: str) -> tuple[str, Any]:
    if "." in written:
        return "study", written
    kind, digits = (written[0], written[1:]) if written[:1] in ("d", "m") else ("d", written)
    if not digits.isdigit():
        raise typer.BadParameter(
            f"{written!r} is not an id such as d12, m7 or a Study Instance UID; 'gateway parked' lists what waits"
        )
    return kind, int(digits)
