"""`erase`: all rows of one patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import AsJson, By, ConfigFile, user_of_system
from gateway.cli.output import complain, say, say_json, say_lines
from gateway.clock import now

if TYPE_CHECKING:
    from gateway.config.tree import Config
    from gateway.operations.erase import Erased, Plan
    from gateway.store import Store


@cli.command(epilog='Example: gateway erase 4711 --issuer HOSP --yes --note "request of 3 May"')
def erase(
    patient: Annotated[str, typer.Argument(help="Patient ID; '' with --continue")] = "",
    issuer: Annotated[str, typer.Option(help="Of the Patient ID, where several patients have it")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Erase; without it: show what would go")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Bring erasures to their end that were broken off")] = False,
    note: Annotated[str, typer.Option("--note", help="Why, for those who come later; kept")] = "",
    by: By = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete all that is kept of a patient, whatever its age, and prove it by a search of all tables and files.

    Also while the gateway runs. Without --yes nothing is deleted. Ends with 1 when something is left.
    """
    from gateway.operations.erase import plan
    from gateway.records.patient import Identity

    if bool(patient) == go_on:
        raise typer.BadParameter("name a Patient ID, or give --continue")
    settings = configuration(config)
    if go_on or yes:
        results = with_store(settings, lambda store: _erase(store, settings, Identity(patient, issuer), note, by))
        _show(results, as_json)
        if not all(one.proof.is_clean for one in results):
            raise typer.Exit(1)
        return
    planned = with_store(settings, lambda store: plan(store, Identity(patient, issuer)))
    if as_json:
        say_json(asdict(planned) | {"targets": planned.targets.as_json()})
    else:
        say_lines(_planned(planned))


async def _erase(store: Store, settings: Config, identity: Any, note: str, by: str) -> list[Erased]:
    from gateway.assembly.spool import spool_of
    from gateway.journey.study_arrival.spool_keeping import delete_released
    from gateway.operations.erase import Erasure, plan, resumed
    from gateway.store.engine import sqlite_file

    folder, spool = settings.dicom.temporary_folder, spool_of(settings)
    places: dict[str, Any] = {
        "file": sqlite_file(settings.database.url), "folders": () if folder is None else (Path(folder),),
        "on_progress": complain, "delete_files": None if spool is None else partial(delete_released, store, spool),
    }  # fmt: skip
    begun = await resumed(store, now, **places)
    if identity.patient_id:
        begun = [one for one in begun if _is_of(identity, one.targets)]
        if not begun:
            targets = (await plan(store, identity)).targets
            begun = [Erasure(store, targets, by or user_of_system(), note, now, **places)]
    return [await one.run() for one in begun]


def _is_of(identity: Any, targets: Any) -> bool:
    """An issuer that is not named is any."""
    return identity in targets.identities or (not identity.issuer and identity.patient_id in targets.patient_ids)


def _planned(planned: Plan) -> Iterator[str]:
    from gateway.operations.erase import KEPT

    known = ", ".join(f"{one.patient_id} of {one.issuer or 'no issuer'}" for one in planned.targets.identities)
    yield f"patient {known}: would be erased"
    for table, number in sorted({**planned.deleted, **planned.found}.items()):
        yield f"  {number:,} {table}"
    if planned.waiting:
        yield f"not done and never will be: {planned.waiting:,} deliveries or other work"
    yield f"stays: {planned.audited:,} rows of the audit trail: {KEPT['audit']}"
    yield from (f"outside: {one.what}: {one.cure}" for one in planned.outside)
    yield from (f"FORBIDDEN by a legal hold: {one}" for one in planned.holds)
    yield "nothing was erased: say --yes, and why with --note"


def _show(results: list[Erased], as_json: bool) -> None:
    if as_json:
        say_json([asdict(one) | {"clean": one.proof.is_clean} for one in results])
        return
    if not results:
        say("no erasure was broken off")
    for one in results:
        say_lines(_erased(one))


def _erased(one: Erased) -> Iterator[str]:
    yield f"{one.pseudonym}: {sum(one.deleted.values()):,} rows erased"
    yield from (f"  {number:,} {table}" for table, number in sorted(one.deleted.items()))
    proof = one.proof
    yield f"searched: {proof.rows_read:,} rows of {proof.tables} tables, {len(proof.files)} files"
    for file, places in proof.files.items():
        yield f"  {file}: {f'{places} places left: gateway db compact, gateway stopped' if places else 'nothing left'}"
    yield from (f"  LEFT: {row}" for row in proof.left)
    yield from (f"stays: {number:,} rows of {table}, by law" for table, number in proof.kept.items())
    yield from (f"outside: {each.what}: {each.cure}" for each in one.outside)
    yield "nothing is left here" if proof.is_clean else "something is left"
