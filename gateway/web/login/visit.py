"""Who makes a request, and by which connection."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.records.person import NOBODY, Person, Role
from gateway.records.session import Session

PERSON: Final[web.RequestKey[Person]] = web.RequestKey("person", Person)
"""Who makes a request; absent where no login is asked for."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request, as far as logins are concerned."""

    address: str = ""
    """IP address."""
    is_secure: bool = False
    """It came over TLS, to the gateway or to a reverse proxy that it trusts."""
    origin: str = ""
    """Scheme and host by which whoever asks knows the gateway."""
    session: Session | None = None
    secret: str = ""
    """Of the session."""
    token: str = ""
    """Shown in place of a session."""
    login: str = ""
    """What the browser has kept of a login that was begun at the identity provider."""

    @property
    def is_local(self) -> bool:
        """It comes from this machine."""
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False

    @property
    def csrf(self) -> str:
        """What forms of this session hold, and no other site knows; empty without a session."""
        if not self.secret:
            return ""
        made = hmac.digest(self.secret.encode(), b"csrf", hashlib.sha256)
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


VISIT: Final[web.RequestKey[Visit]] = web.RequestKey("visit", Visit)
NO_VISIT: Final = Visit()


def person_of(request: web.Request) -> Person:
    """Who makes a request; `NOBODY` where none is asked for a login."""
    person: Person = request.get(PERSON, NOBODY)
    return person


def visit_of(request: web.Request) -> Visit:
    """By which connection and session a request comes."""
    visit: Visit = request.get(VISIT, NO_VISIT)
    return visit


def check_role(person: Person, role: Role) -> None:
    """Raises 403 that names the role where the person's does not include it."""
    if not person.role.includes(role):
        raise web.HTTPForbidden(text=f"this needs the role {role}; yours is {person.role}")


def check_form(visit: Visit, given: str) -> None:
    """Raises 403 for a form or call of a session that does not hold the session's token (`Visit.csrf`)."""
    if visit.secret and not hmac.compare_digest(visit.csrf.encode(), given.encode("utf-8", "surrogateescape")):
        raise web.HTTPForbidden(text="the form is of another session; load its page again")
