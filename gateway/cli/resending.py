"""`resend`: what EHRs were sent, once more, changed or not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, with_store
from gateway.cli.options import MOMENTS, ConfigFile, microseconds
from gateway.cli.output import Reply, complain, each, say
from gateway.clock import now
from gateway.records.identifiers import StudyInstanceUID

if TYPE_CHECKING:
    from gateway.config.tree import Config
    from gateway.store import Store


@cli.command(epilog="Example: gateway resend --ehr main --since 2026-01-23 --per-second 10")
def resend(
    studies: Annotated[list[str] | None, typer.Argument(metavar="UID...", help="Study Instance UIDs")] = None,
    ehr: Annotated[str | None, typer.Option(help="All studies and orders that this EHR was sent")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Of these, what was added from this time on, in the site's zone (--ehr)", formats=MOMENTS),
    ] = None,
    per_second: Annotated[float, typer.Option(min=0.01, help="Deliveries per second (--ehr)")] = 10.0,
    config: ConfigFile = None,
) -> None:
    """Send studies once more, changed or not: to an EHR that has lost data. Also while the gateway runs.

    Ends with 1 when any of the studies could not be; the others are sent all the same.
    """
    if bool(studies) == (ehr is not None):
        raise typer.BadParameter("name studies, or give --ehr")
    if since is not None and ehr is None:
        raise typer.BadParameter("--since goes with --ehr")
    settings = configuration(config)
    if ehr is not None:
        fill_ehr(settings, ehr, microseconds(since, settings.site.zone) if since else 0, per_second)
    elif with_store(settings, partial(resend_studies, studies or ())):
        raise typer.Exit(1)


async def resend_studies(studies: Sequence[str], store: Store) -> int:
    """Send studies once more and print a line for each; returns how many failed."""
    from gateway.operations.resend import resend_study

    async def one(study_uid: str) -> Reply:
        return Reply(f"{study_uid}: {await resend_study(store, StudyInstanceUID(study_uid), now)} deliveries, due now")

    return await each(studies, one)


def fill_ehr(settings: Config, ehr: str, first: int, per_second: float) -> None:
    """Send an EHR once more what was added at `first`, microseconds, or later; print how far that has come."""
    names = [one.name for one in settings.ehrs]
    if ehr not in names:
        raise typer.BadParameter(f"there is no EHR {ehr!r}; the configuration has {', '.join(names) or 'none'}")
    with_store(settings, partial(_fill, ehr, first, per_second))


async def _fill(ehr: str, first: int, per_second: float, store: Store) -> None:
    from gateway.operations.resend import resend_all

    total = 0
    async for total in resend_all(store, ehr, now, first=first, per_second=per_second):
        complain(f"{total} deliveries added")
    say(f"{ehr}: {total} deliveries, the last due in {total / per_second:.0f} s")
