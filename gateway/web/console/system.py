"""The page System: configuration in force without secrets, certificates, schema, checks, reload."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from gateway.operations.check import CheckFinding
from gateway.operations.conformance.sections import StatementName
from gateway.operations.state.part import Form, Kind
from gateway.records.person import Role
from gateway.store import migrations, reconciliations
from gateway.web.console.now import WORDS
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.routes import Route, RouteContext

SHOWN_KINDS: Final = (
    Kind.CONFIGURATION,
    Kind.CERTIFICATE,
    Kind.BACKUP,
    Kind.RETENTION,
    Kind.DISK,
    Kind.DATABASE,
    Kind.CLOCK,
)


class SystemParameters(PageParameters):
    check: Annotated[bool, Field(description="Look at configuration and mappings as well")] = False


async def show_system(context: RouteContext, parameters: SystemParameters) -> web.Response:
    """The configuration in force without secrets, certificates, backup, schema; the checks, where asked for."""
    state = await context.state()
    findings: Sequence[CheckFinding] | None = await context.system.check() if parameters.check else None
    compared = await context.store.read(reconciliations.last)
    sections = groupby(context.system.settings(), key=lambda setting: setting.key.partition(".")[0].partition("[")[0])
    return page(
        context, "system.html", parameters, title="System", current="/system", schema=migrations.newest(),
        parts=[part for part in state.parts if part.kind in SHOWN_KINDS], findings=findings, words=WORDS, forms=Form,
        sections=[(name, list(settings)) for name, settings in sections], dialect=context.store.engine.dialect.name,
        statements=list(StatementName), compared=compared,
        is_admin=context.person.role is Role.ADMIN,
    )  # fmt: skip


ROUTES: Final = (Route("GET", "/system", show_system, "text/html", SystemParameters),)
