"""Logins over HTTP: who makes a request, by which secret, and which role that is."""

from gateway.web.login.credentials import Credentials, Token, credentials, is_secret, not_logged_in
from gateway.web.login.door import Door, Handler, guard
from gateway.web.login.origin import check_origin
from gateway.web.login.transport import transport
from gateway.web.login.visit import (
    NO_VISIT,
    PERSON,
    VISIT,
    Visit,
    check_form,
    check_role,
    person_of,
    visit_of,
)

__all__ = [
    "NO_VISIT",
    "PERSON",
    "VISIT",
    "Credentials",
    "Door",
    "Handler",
    "Token",
    "Visit",
    "check_form",
    "check_origin",
    "check_role",
    "credentials",
    "guard",
    "is_secret",
    "not_logged_in",
    "person_of",
    "transport",
    "visit_of",
]
