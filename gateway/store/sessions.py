"""Sessions: of each the SHA-256 of the secret that the browser has."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from gateway.records.person import Login, Role
from gateway.records.row_ids import UserRow
from gateway.records.session import Session
from gateway.store.schema import sessions, users


def add(
    connection: Connection, user: UserRow, digest: bytes, *, id_token: str = "", forget_before: int, now: int
) -> None:
    """A session that begins now; those that began before `forget_before` are forgotten."""
    connection.execute(delete(sessions).where(sessions.c.begun_at < forget_before))
    row = {"digest": digest, "user_id": user, "begun_at": now, "seen_at": now, "id_token": id_token}
    connection.execute(insert(sessions), row)


def find(connection: Connection, digest: bytes) -> Session | None:
    """The session of a secret, with the role that its user has now; None where the user is disabled."""
    columns = (sessions.c.begun_at, sessions.c.seen_at, sessions.c.id_token, users.c.id, users.c.name, users.c.role,
               users.c.login)  # fmt: skip
    wanted = select(*columns).join(users, users.c.id == sessions.c.user_id)
    row = connection.execute(wanted.where(sessions.c.digest == digest, users.c.enabled)).first()
    if row is None:
        return None
    return Session(UserRow(row.id), row.name, Role(row.role), Login(row.login), row.begun_at, row.seen_at, row.id_token)


def note(connection: Connection, digest: bytes, now: int) -> None:
    """A request of the session has come."""
    connection.execute(update(sessions).where(sessions.c.digest == digest).values(seen_at=now))


def end(connection: Connection, digest: bytes) -> None:
    """Forget a session."""
    connection.execute(delete(sessions).where(sessions.c.digest == digest))


def end_all(connection: Connection, user: UserRow) -> None:
    """Forget all sessions of a user."""
    connection.execute(delete(sessions).where(sessions.c.user_id == user))
