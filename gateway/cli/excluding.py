"""`exclude`, `include`: series and instances that are no part of what EHRs are sent of a study."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, By, ConfigFile, Note, user_of_system
from gateway.cli.output import say_answer
from gateway.clock import now

if TYPE_CHECKING:
    from gateway.operations.answers.exclusions import ExclusionChanged
    from gateway.store import Store

PartUid = Annotated[str, typer.Argument(metavar="UID", help="Series or SOP Instance UID")]
Study = Annotated[str, typer.Option("--study", help="Study Instance UID, where several studies have the part")]


@cli.command(epilog='Example: gateway exclude 1.2.840.113619.2.55.3 --note "another patient"')
def exclude(
    uid: PartUid,
    note: Note,
    study: Study = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Exclude a series or an instance from its study: EHRs are sent the study anew without it. Nothing is deleted.

    What arrives of it again stays excluded. 'gateway include' takes it back.
    """
    from gateway.operations.exclude import exclude as exclude_part

    _change(config, as_json, exclude_part, uid=uid, person=by or user_of_system(), note=note, study_uid=study)


@cli.command(epilog="Example: gateway include 1.2.840.113619.2.55.3")
def include(
    uid: PartUid,
    note: Note = "",
    study: Study = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a series or an instance that was excluded count again: EHRs are sent its study anew."""
    from gateway.operations.exclude import include as include_part

    _change(config, as_json, include_part, uid=uid, person=by or user_of_system(), note=note, study_uid=study)


def _change(config: ConfigFile, as_json: bool, change: Callable[..., Awaitable[ExclusionChanged]], **wish: Any) -> None:
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.studies import make_arrival
    from gateway.operations.exclude import ExclusionWish

    settings = configuration(config)
    mappings = load_mappings(settings)

    async def work(store: Store) -> ExclusionChanged:
        arrival = make_arrival(settings, store, mappings, now)
        return await change(store, arrival.replay, ExclusionWish(**wish), now)

    outcome = with_store(settings, work)
    say_answer(outcome, as_json=as_json)
