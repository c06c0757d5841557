"""`withdraw`: studies that were entered in error."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, ConfigFile, user_of_system
from gateway.cli.output import Reply, each, say_json
from gateway.clock import now
from gateway.records.identifiers import StudyInstanceUID

if TYPE_CHECKING:
    from gateway.operations.withdraw import Withdrawal
    from gateway.store import Store


@cli.command(epilog="Example: gateway withdraw 1.2.840.113619.2.55")
def withdraw(
    studies: Annotated[list[str], typer.Argument(help="Study Instance UIDs")],
    undo: Annotated[bool, typer.Option("--undo", help="They are what they claim to be after all")] = False,
    reason: Annotated[str, typer.Option(help="Why, for those who come later")] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell EHRs that studies were entered in error: another patient's images, a test. They keep their identifier.

    Nothing is deleted here. Images that arrive later do not undo it.
    """
    from gateway.operations.withdraw import withdraw as withdraw_study

    settings = configuration(config)
    ehrs = [one.name for one in settings.ehrs]
    unit = partial(withdraw_study, ehrs=ehrs, undo=undo, person=user_of_system(), reason=reason)
    withdrawals: list[Withdrawal] = []

    async def work(store: Store) -> int:
        async def study(uid: str) -> Reply:
            withdrawals.append(await store.write(partial(unit, study_uid=StudyInstanceUID(uid), now=now())))
            return Reply("" if as_json else f"{uid}: {withdrawals[-1]}")

        return await each(studies, study)

    failures = with_store(settings, work)
    if as_json:
        say_json([{**asdict(one), "deliveries": one.deliveries} for one in withdrawals])
    if failures:
        raise typer.Exit(1)
