"""API tokens: of each the SHA-256."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from gateway.errors import Conflict, UnknownKey
from gateway.records.api_token import ApiToken
from gateway.records.person import Role
from gateway.records.row_ids import TokenRow
from gateway.store.engine import lock
from gateway.store.schema import api_tokens

MOST_LISTED: Final = 1000


def listing(connection: Connection) -> list[ApiToken]:
    """All by name, revoked and expired ones too, `MOST_LISTED` at most."""
    rows = connection.execute(select(api_tokens).order_by(api_tokens.c.name).limit(MOST_LISTED))
    return [_token(row) for row in rows]


def find(connection: Connection, digest: bytes) -> ApiToken | None:
    """The token of a secret, whether it counts or not."""
    row = connection.execute(select(api_tokens).where(api_tokens.c.digest == digest)).first()
    return None if row is None else _token(row)


def add(
    connection: Connection, name: str, digest: bytes, *, role: Role | None, ae_title: str, expires_at: int | None,
    by: str, now: int,
) -> ApiToken:  # fmt: skip
    """A new token in place of one of the same name that counts no more. Raises `Conflict` where that one does."""
    lock(connection, "api_tokens")
    row = {
        "digest": digest, "role": role or "", "ae_title": ae_title, "made_at": now, "made_by": by,
        "expires_at": expires_at, "revoked_at": None, "last_used_at": None,
    }  # fmt: skip
    former = connection.execute(select(api_tokens).where(api_tokens.c.name == name)).first()
    if former is None:
        connection.execute(insert(api_tokens), {"name": name, **row})
    elif _token(former).counts(now):
        raise Conflict(f"there is a token {name} already; revoke it first", place="name")
    else:
        connection.execute(update(api_tokens).where(api_tokens.c.id == former.id).values(row))
    token = find(connection, digest)
    assert token is not None
    return token


def revoke(connection: Connection, name: str, now: int) -> ApiToken:
    """Let a token open nothing from now on. Raises `UnknownKey`; `Conflict` where that was done before."""
    row = connection.execute(select(api_tokens).where(api_tokens.c.name == name)).first()
    if row is None:
        raise UnknownKey(f"there is no token {name}", place="name")
    if row.revoked_at is not None:
        raise Conflict("it is revoked already", place="name")
    connection.execute(update(api_tokens).where(api_tokens.c.id == row.id).values(revoked_at=now))
    return _token(row)


def forget(connection: Connection, name: str) -> None:
    """Delete a token."""
    connection.execute(delete(api_tokens).where(api_tokens.c.name == name))


def note_use(connection: Connection, token: TokenRow, now: int) -> None:
    """A request with the token has come."""
    connection.execute(update(api_tokens).where(api_tokens.c.id == token).values(last_used_at=now))


def _token(row: Any) -> ApiToken:
    return ApiToken(
        row=TokenRow(row.id), name=row.name, role=Role(row.role) if row.role else None, ae_title=row.ae_title,
        made_at=row.made_at, made_by=row.made_by, expires_at=row.expires_at, revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )  # fmt: skip
