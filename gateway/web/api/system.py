"""The configuration: reload without a restart."""

from __future__ import annotations

from typing import Final

from gateway.operations.answers.state import ReloadedConfiguration
from gateway.records.person import Role
from gateway.web.requests import NoParameters
from gateway.web.routes import Notice, Route, RouteContext


async def reload(context: RouteContext, parameters: NoParameters) -> ReloadedConfiguration:
    """Put in force what the files say now: mappings, scanners, certificates, tokens, log level.

    A fault in any of them keeps all as it was; the answer names it.
    """
    reloaded = await context.system.reload()
    return ReloadedConfiguration(
        at=reloaded.at, is_in_force=reloaded.is_in_force, faults=list(reloaded.faults),
        waits_for_restart=list(reloaded.waits_for_restart),
    )  # fmt: skip


def _notice(answer: ReloadedConfiguration) -> Notice:
    if not answer.is_in_force:
        return Notice("reload_failed", len(answer.faults))
    return Notice("reloaded_in_part" if answer.waits_for_restart else "reloaded", len(answer.waits_for_restart))


ROUTES: Final = (Route("POST", "/api/reload", reload, ReloadedConfiguration, role=Role.ADMIN, notice=_notice),)
