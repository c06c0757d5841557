"""`receivers`, `pause`, `resume`: EHRs, destinations and sources of studies, and pauses of their work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, By, ConfigFile, Note, user_of_system
from gateway.cli.output import say, say_answer, say_json, time_text
from gateway.clock import now

if TYPE_CHECKING:
    from gateway.operations.answers.receivers import PauseChanged
    from gateway.operations.receivers import ReceiverWork
    from gateway.records.study_source import SourceState

Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME...", help="Names of EHRs, destinations and sources of studies")
]
All = Annotated[bool, typer.Option("--all", help="All that the configuration has")]


@cli.command(epilog="Example: gateway receivers")
def receivers(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """EHRs, destinations and sources of studies: paused or not, how much waits since when, and what needs a person."""
    from gateway.assembly.receivers import receivers_of
    from gateway.operations.answers import receivers as answers
    from gateway.operations.receivers import states_of

    settings = configuration(config)
    wanted = partial(states_of, receivers=receivers_of(settings))
    states: list[ReceiverWork] = with_store(settings, lambda store: store.read(wanted))
    if as_json:
        say_json([answers.ReceiverState.model_validate(one, from_attributes=True).model_dump() for one in states])
        return
    for one in states:
        say(_line(one))
    if not states:
        say("no receiver is configured")


def _line(state: ReceiverWork) -> str:
    paused = ""
    if state.pause is not None:
        why = f": {state.pause.note}" if state.pause.note else ""
        paused = f"  paused since {time_text(state.pause.since)} by {state.pause.person}{why}"
    since = f" since {time_text(state.oldest_at)}" if state.oldest_at else ""
    done = f", last done {time_text(state.last_done_at)}" if state.last_done_at else ""
    stuck = f", {_bounded(state.parked)} parked" if state.parked else ""
    polled = _polled(state.source) if state.source is not None else ""
    return f"{state.name}  {state.type}: {_bounded(state.waiting)} waiting{since}{stuck}{done}{polled}{paused}"


def _polled(source: SourceState) -> str:
    """How a source of studies was polled."""
    mark = source.watermark
    reached = f", listed to {mark.reached}{f' of {mark.target}' if mark.target else ''}" if mark.reached else ""
    polled = f", last poll {time_text(source.polled_at)}" if source.polled_at else ", never polled"
    failed = f", failing since {time_text(source.failed_at)}: {source.error}" if source.failed_at else ""
    note = f" ({mark.note})" if mark.note else ""
    listed = f", {source.listed} studies listed so far, {source.wanted} of them new or changed"
    return f"{polled}{reached}{listed}{failed}{note}"


def _bounded(number: int) -> str:
    from gateway.store.waiting import MOST_COUNTED

    return f"{number}+" if number >= MOST_COUNTED else str(number)


@cli.command(epilog='Example: gateway pause main --note "upgrade of the EHR until six"')
def pause(
    names: Names = None,
    every: All = False,
    note: Note = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Send nothing to receivers until `gateway resume`: what is due for them waits, all else goes on."""
    from gateway.operations.receivers import pause as pause_receivers

    _change(
        config, names, every, as_json, partial(pause_receivers, person=by or user_of_system(), note=note, now=now())
    )


@cli.command(epilog="Example: gateway resume main")
def resume(names: Names = None, every: All = False, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Let what waits for paused receivers be sent, at once."""
    from gateway.operations.receivers import resume as resume_receivers

    _change(config, names, every, as_json, resume_receivers)


def _change(
    config: ConfigFile, names: list[str] | None, every: bool, as_json: bool, change: Callable[..., PauseChanged]
) -> None:
    from gateway.assembly.receivers import receivers_of

    if every == bool(names):
        raise typer.BadParameter("name receivers, or give --all")
    settings = configuration(config)
    configured = receivers_of(settings)
    work = partial(change, receivers=configured, names=names or [one.name for one in configured])
    outcome = with_store(settings, lambda store: store.write(work))
    say_answer(outcome, as_json=as_json)
