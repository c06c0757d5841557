"""The page Retention: what the last run deleted, what stays and why, and legal holds."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from sqlalchemy import Connection

from gateway.operations.retention_view import kinds_kept
from gateway.records.person import Role
from gateway.store import erasures, free_space, legal_holds, retention_runs
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.routes import Route, RouteContext

PATH: Final = "/retention"


async def show_retention(context: RouteContext, parameters: PageParameters) -> web.Response:
    """The last run of retention by kind, the free space of the file, legal holds, and erasures that have not ended."""
    rows = await context.store.read(_read)
    ages = [one for one in context.system.settings() if one.key.startswith("retention.")]
    return page(context, "retention.html", parameters, title="Retention", current="/system", ages=ages, **rows)


def _read(connection: Connection) -> dict[str, Any]:
    run = retention_runs.last(connection)
    return {
        "run": run,
        "kinds": kinds_kept(run["tallies"]) if run is not None else [],
        "space": free_space.measured(connection),
        "holds": legal_holds.listing(connection, ended=True),
        "erasures": erasures.unfinished(connection),
    }


ROUTES: Final = (Route("GET", PATH, show_retention, "text/html", PageParameters, role=Role.ADMIN),)
