"""What admins do with API tokens: the same at the command line, in the console and over the API."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection

from gateway.errors import InvalidValue
from gateway.operations.answers.people import TokenMade, TokenRevoked, Tokens, TokenState
from gateway.operations.people import events
from gateway.records.api_token import ApiToken
from gateway.records.person import Person, Role
from gateway.records.secret import digest_of, new_secret
from gateway.records.user import HOUR, name_of_user
from gateway.store import api_tokens

PREFIX: Final = "igw_"
"""By which a scan of files for secrets knows a token."""
DAY: Final = 24 * HOUR
_AE_TITLE: Final = re.compile(r"(?=.{1,16}$)[\x21-\x5b\x5d-\x7e]+( [\x21-\x5b\x5d-\x7e]+)*", re.ASCII)


def listing(connection: Connection, *, now: int) -> Tokens:
    """All tokens, by name."""
    return Tokens(tokens=[_state(token, now) for token in api_tokens.listing(connection)])


def make(
    connection: Connection, name: str, *, role: Role | None, scanner: str, days: float | None, person: Person, now: int
) -> TokenMade:
    """A new token: for the console and the API with a role, or for the scanner of an AE title.

    `days`: how long it counts; None: until it is revoked. Raises `InvalidValue`, `Conflict`.
    """
    if (role is None) == (not scanner):
        raise InvalidValue("give a role, or the AE title of a scanner", place="role")
    if scanner and not _AE_TITLE.fullmatch(scanner):
        raise InvalidValue("is no AE title (PS3.5 6.2)", place="scanner")
    secret = new_secret(PREFIX)
    expires_at = None if days is None else now + round(days * DAY)
    api_tokens.add(
        connection, name_of_user(name), digest_of(secret), role=role, ae_title=scanner, expires_at=expires_at,
        by=person.shown, now=now,
    )  # fmt: skip
    answer = TokenMade(name=name_of_user(name), token=secret)
    events.record(connection, events.token_made(answer, person, now))
    return answer


def lend(connection: Connection, name: str, *, person: Person, until: int, now: int) -> str:
    """A viewer's token for a command of this machine, which forgets it at once; the secret. No event: what it opens
    is recorded like whatever else is opened, and whoever may write to the database could make it without."""
    secret = new_secret(PREFIX)
    api_tokens.add(
        connection, name, digest_of(secret), role=Role.VIEWER, ae_title="", expires_at=until, by=person.shown, now=now
    )
    return secret


def revoke(connection: Connection, name: str, *, person: Person, now: int) -> TokenRevoked:
    """Let a token open nothing from now on. Raises `UnknownKey`, `Conflict`."""
    answer = TokenRevoked(name=api_tokens.revoke(connection, name.lower(), now).name)
    events.record(connection, events.token_revoked(answer, person, now))
    return answer


def forget(connection: Connection, name: str) -> None:
    """Forget a token that a command made for itself."""
    api_tokens.forget(connection, name)


def _state(token: ApiToken, now: int) -> TokenState:
    return TokenState.model_validate({
        "name": token.name, "role": token.role, "ae_title": token.ae_title, "counts": token.counts(now),
        "made_at": token.made_at, "made_by": token.made_by, "expires_at": token.expires_at,
        "revoked_at": token.revoked_at, "last_used_at": token.last_used_at,
    })  # fmt: skip
