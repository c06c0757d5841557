"""`parked`: what needs a person."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import say, say_json, time_text


@cli.command(epilog="Example: gateway parked")
def parked(
    config: ConfigFile = None,
    most: Annotated[int, typer.Option(min=1, help="At most this many deliveries and this many messages")] = 100,
    by_cause: Annotated[bool, typer.Option("--by-cause", help="Deliveries by what stopped them, counted")] = False,
    as_json: AsJson = False,
) -> None:
    """What needs a person: deliveries that were parked and messages that were not applied, each with its cure's id."""
    from gateway.operations.parked import parked_work, unserved_text
    from gateway.store import outbox_listing

    settings = configuration(config)
    if by_cause:
        causes = with_store(settings, lambda store: store.read(outbox_listing.stuck))
        if as_json:
            say_json([asdict(cause) for cause in causes])
        else:
            _say_causes(causes)
        return
    work = with_store(settings, lambda store: store.read(partial(parked_work, most=most)))
    if as_json:
        say_json(work.as_json())
        return
    _say_parked(work.deliveries, work.more_deliveries)
    _say_not_applied(work.messages, work.more_messages)
    for row in work.not_served:
        say(unserved_text(row))
    if work.deliveries or work.messages:
        say("Mend the cause, restart the gateway, then: gateway replay ID...")
    elif not work.not_served:
        say("Nothing is parked.")


def _say_causes(groups: list[Any]) -> None:
    for group in groups:
        since = (
            f"{time_text(group.first_at)} to {time_text(group.last_at)}"
            if group.count > 1
            else time_text(group.last_at)
        )
        say(f"{group.cause.key}  {group.count} x {group.cause.kind}: {group.cause.text}  ({since})")
        say(f"      such as d{group.newest} of {_subject(str(group.cause.kind), group.subject)}")
        for issue in (group.outcome or {}).get("issues", ()):
            say(f"      {issue['severity']} {issue['code']}: {issue['text']} {issue['path']}".rstrip())
    say("Mend the cause, then: gateway replay --cause KEY" if groups else "Nothing is parked.")


def _say_parked(deliveries: list[dict[str, Any]], more: int) -> None:
    for row in deliveries:
        outcome = row["outcome"] or {}
        what = f"{row['kind']} of {_subject(row['kind'], row['subject'])}"
        say(f"d{row['id']}  {time_text(row['finished_at'])}  {what}: {outcome.get('error', '')}")
        for issue in outcome.get("issues", ()):
            say(f"      {issue['severity']} {issue['code']}: {issue['text']} {issue['path']}".rstrip())
    if more:
        say(f"... and {more} more deliveries (--most, --by-cause)")


def _subject(kind: str, subject: str) -> str:
    from gateway.records.work import WorkKind

    return f"study {subject}" if WorkKind.of(kind).of_study else subject


def _say_not_applied(failed: list[dict[str, Any]], more: int) -> None:
    for row in failed:
        why = "; ".join(f"{finding['place']}: {finding['text']}".removeprefix(": ") for finding in row["findings"])
        what = f"{row['type']} {row['control_id']} answered {row['ack_code']}"
        say(f"m{row['id']}  {time_text(row['received_at'])}  {what}: {why}")
    if more:
        say(f"... and {more} more messages (--most)")
