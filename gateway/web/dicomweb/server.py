"""The application below `/dicomweb`."""

from __future__ import annotations

from aiohttp import web

from gateway.web.dicomweb.context import CONTEXT, DicomWebContext
from gateway.web.dicomweb.login import scanner_login
from gateway.web.dicomweb.reader_login import login_by_resource, reader_login
from gateway.web.dicomweb.statuses import failures_as_reports
from gateway.web.dicomweb.transactions import add_routes
from gateway.web.login import Door
from gateway.wire.dimse import AcceptorPolicy


def build(context: DicomWebContext, *, door: Door, policy: AcceptorPolicy) -> web.Application:
    """What `context` has, over the web. `door`: who may log in; `policy`: what each AE title may do."""
    login = login_by_resource(scanner_login(door, policy), reader_login(door))
    application = web.Application(middlewares=[failures_as_reports, login])
    application[CONTEXT] = context
    add_routes(application)
    return application
