"""The configuration: reload without a restart, and what it makes the gateway serve."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from gateway.operations.answers.state import ReloadedConfiguration
from gateway.operations.conformance.html import CONTENT_SECURITY_POLICY, html
from gateway.operations.conformance.sections import StatementName
from gateway.records.person import Role
from gateway.web.requests import NoParameters, RequestParameters
from gateway.web.routes import Notice, Route, RouteContext


class StatementParameters(RequestParameters):
    name: Annotated[StatementName, Field(description="What the statement is about")]


async def reload(context: RouteContext, parameters: NoParameters) -> ReloadedConfiguration:
    """Put in force what the files say now: mappings, scanners, certificates, tokens, log level.

    A fault in any of them keeps all as it was; the answer names it.
    """
    reloaded = await context.system.reload()
    return ReloadedConfiguration(
        at=reloaded.at, is_in_force=reloaded.is_in_force, faults=list(reloaded.faults),
        waits_for_restart=list(reloaded.waits_for_restart),
    )  # fmt: skip


async def show_statement(context: RouteContext, parameters: StatementParameters) -> web.Response:
    """The conformance statement of the configuration in force, as a page."""
    statement = await context.system.statement(parameters.name)
    text = await asyncio.to_thread(html, statement)
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return web.Response(text=text, content_type="text/html", headers=headers)


def _notice(answer: ReloadedConfiguration) -> Notice:
    if not answer.is_in_force:
        return Notice("reload_failed", len(answer.faults))
    return Notice("reloaded_in_part" if answer.waits_for_restart else "reloaded", len(answer.waits_for_restart))


ROUTES: Final = (
    Route("POST", "/api/reload", reload, ReloadedConfiguration, role=Role.ADMIN, notice=_notice),
    Route("GET", "/api/conformance/{name}", show_statement, "text/html", StatementParameters),
)
