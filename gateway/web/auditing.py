"""What of a request goes to the audit trail: who was shown which patients, who changed what."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from gateway.operations.answers.answer import Answer
from gateway.operations.audit.access import looked_at, pressed, refused, subjects_of
from gateway.web.routes import Route, RouteContext

SHOWN: Final = web.ResponseKey("shown", dict)
"""The values of a page."""


def audit(context: RouteContext, route: Route, request: web.Request, answer: Answer | web.Response) -> None:
    """Record the request, if data of patients are shown or something was changed."""
    shown = answer if isinstance(answer, Answer) else answer.get(SHOWN)
    subjects = subjects_of(shown) if shown is not None else subjects_of(())
    # HEAD as well: it changes nothing.
    if route.method == hdrs.METH_GET:
        if subjects or route.shows_texts:
            context.note(looked_at(context.person, request.path, subjects, context.clock()))
    elif (event := pressed(context.person, request.path, subjects, context.clock())) is not None:
        context.note(event)


def audit_refused(context: RouteContext, route: Route, request: web.Request) -> None:
    """Record that the role of whoever asks does not allow it."""
    context.note(refused(context.person, request.path, route.role_needed, context.clock()))
