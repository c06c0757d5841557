"""`parked`: what needs a person."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.output import say, say_json, time_text
from gateway.records.put_away import Kind
from gateway.records.work import SETTLE

if TYPE_CHECKING:
    from gateway.config.tree import Config
    from gateway.operations.put_away import OpenCause, OpenCauses


@cli.command(epilog="Example: gateway parked")
def parked(
    config: ConfigFile = None,
    most: Annotated[int, typer.Option(min=1, help="At most this many deliveries and this many messages")] = 100,
    by_cause: Annotated[bool, typer.Option("--by-cause", help="By what stopped or refused them, counted")] = False,
    as_json: AsJson = False,
) -> None:
    """What needs a person: deliveries that were parked and messages that were not applied, each with its cure's id."""
    settings = configuration(config)
    if by_cause:
        _by_cause(settings, as_json)
    else:
        _by_row(settings, most, as_json)


def _by_row(settings: Config, most: int, as_json: bool) -> None:
    from gateway.operations.parked import parked_work, unserved_text

    work = with_store(settings, lambda store: store.read(partial(parked_work, most=most)))
    if as_json:
        say_json(work.as_json())
        return
    _say_parked(work.deliveries, work.more_deliveries)
    _say_not_applied(work.messages, work.more_messages)
    for row in work.not_served:
        say(unserved_text(row))
    if work.deliveries or work.messages:
        say("Mend the cause, reload or restart the gateway, then: gateway replay ID...")
    if any(row["kind"] == str(SETTLE) for row in work.deliveries):
        say("A study whose order states something else: gateway unmatched shows both sides; gateway release-study,")
        say("link-study, unlink-study or exclude decides")
    if work.messages:
        say("What nobody can mend: gateway put-away ID... --note WHY")
    if work.refusals:
        say(f"{work.refusals} arrived unreadable (--by-cause)")
    elif not (work.deliveries or work.messages or work.not_served):
        say("Nothing is parked.")


def _by_cause(settings: Config, as_json: bool) -> None:
    from gateway.operations.put_away import open_causes
    from gateway.store import outbox_listing

    of_work, of_messages = with_store(
        settings,
        lambda store: store.read(lambda connection: (outbox_listing.stuck(connection), open_causes(connection))),
    )
    if as_json:
        say_json([*map(asdict, of_work), *map(_as_group, of_messages.causes)])
        return
    _say_causes(of_work)
    _say_message_causes(of_messages)
    if not of_work and not of_messages.causes:
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
    if groups:
        say("Mend the cause, then: gateway replay --cause KEY")


def _as_group(cause: OpenCause) -> dict[str, Any]:
    """As deliveries are printed."""
    values = asdict(cause)
    return {"cause": {name: values.pop(name) for name in ("key", "kind", "text")}, **values}


def _say_message_causes(causes: OpenCauses) -> None:
    for cause in causes.causes:
        since = f"{time_text(cause.first_at)} to {time_text(cause.last_at)}"
        say(f"{cause.key}  {cause.count} x {_NOUNS[cause.kind]}: {cause.text}  ({since})")
        say(f"      such as {cause.kind}{cause.newest} {cause.type} {cause.listener}".rstrip())
    if causes.more_causes:
        say(f"... and {causes.more_causes} more causes")
    if not causes.is_whole:
        say(f"counted are the newest {causes.messages} messages; there are more")
    if causes.causes:
        say("Mend the cause, then: gateway replay --cause KEY; or: gateway put-away --cause KEY --note WHY")


_NOUNS: Final = {Kind.MESSAGE: "not applied", Kind.REFUSAL: "unreadable"}


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
