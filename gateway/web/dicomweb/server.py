"""The application below `/dicomweb`."""

from __future__ import annotations

from datetime import tzinfo

from aiohttp import web

from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.worklist.station import Worklist
from gateway.web.dicomweb.context import CONTEXT, DicomWebContext
from gateway.web.dicomweb.login import scanner_login
from gateway.web.dicomweb.statuses import failures_as_reports
from gateway.web.dicomweb.transactions import add_routes
from gateway.web.login import Door
from gateway.wire.dimse import AcceptorPolicy


def build(
    worklist: Worklist,
    performed_steps: PerformedSteps,
    *,
    door: Door,
    policy: AcceptorPolicy,
    zone: tzinfo,
) -> web.Application:
    """Worklist and performed steps over the web. `door`: whose tokens open it; `policy`: what each AE title may do;
    `zone`: of the worklist's dates and times."""
    application = web.Application(middlewares=[failures_as_reports, scanner_login(door, policy)])
    application[CONTEXT] = DicomWebContext(worklist, performed_steps, zone)
    add_routes(application)
    return application
