"""Users of the console, and the links by which they set their passwords."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from gateway.errors import Conflict, UnknownKey
from gateway.records.person import Login, Role
from gateway.records.row_ids import UserRow
from gateway.records.user import User
from gateway.store import sessions
from gateway.store.engine import lock
from gateway.store.schema import password_links, users

MOST_LISTED: Final = 1000
_LOCK: Final = "users"


def any_exists(connection: Connection) -> bool:
    """Whether there is a user at all."""
    return connection.execute(select(users.c.id).limit(1)).first() is not None


def admin_can_log_in(connection: Connection) -> bool:
    """Whether an enabled admin has a password."""
    wanted = select(users.c.id).where(_IS_ADMIN, users.c.password_hash != "").limit(1)
    return connection.execute(wanted).first() is not None


def listing(connection: Connection) -> list[User]:
    """All users by name, `MOST_LISTED` at most."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name).limit(MOST_LISTED))]


def find(connection: Connection, name: str) -> User | None:
    """The user of a name."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    return None if row is None else _user(row)


def get(connection: Connection, name: str) -> User:
    """The user of a name. Raises `UnknownKey`."""
    user = find(connection, name)
    if user is None:
        raise UnknownKey(f"there is no user {name}", place="name")
    return user


def find_subject(connection: Connection, subject: str) -> User | None:
    """The user whom the identity provider knows as `subject`."""
    row = connection.execute(select(users).where(users.c.subject == subject)).first()
    return None if row is None else _user(row)


def add(
    connection: Connection, name: str, role: Role, *, login: Login, subject: str | None = None, by: str, now: int
) -> User:
    """A new user, without a password. Raises `Conflict`."""
    lock(connection, _LOCK)
    if role is not Role.ADMIN and login is Login.PASSWORD and not _admins(connection):
        raise Conflict("the first user is an admin: who else could make others?", place="role")
    if find(connection, name) is not None:
        raise Conflict(f"there is a user {name} already", place="name")
    row = {
        "name": name, "role": role, "login": login, "subject": subject, "password_hash": "", "enabled": True,
        "made_at": now, "made_by": by, "seen_at": None,
    }  # fmt: skip
    connection.execute(insert(users), row)
    return get(connection, name)


def set_role(connection: Connection, name: str, role: Role) -> User:
    """Give a user another role, which ends its sessions. Raises `UnknownKey`; `Conflict` for the last admin."""
    return _change(connection, name, {"role": role}, keeps_admin=role is Role.ADMIN)


def take_role(connection: Connection, user: User, role: Role) -> User:
    """The identity provider gives a user another role; sessions that began before end."""
    _set(connection, user.row, {"role": role})
    sessions.end_all(connection, user.row)
    return get(connection, user.name)


def set_enabled(connection: Connection, name: str, *, enabled: bool) -> User:
    """Let a user in, or no more, which ends its sessions and its link. Raises as `set_role`."""
    user = _change(connection, name, {"enabled": enabled}, keeps_admin=enabled)
    if not enabled:
        connection.execute(delete(password_links).where(password_links.c.user_id == user.row))
    return user


def set_password(connection: Connection, user: UserRow, password_hash: str) -> None:
    """Set the password; sessions and link of the user end."""
    _set(connection, user, {"password_hash": password_hash})
    connection.execute(delete(password_links).where(password_links.c.user_id == user))
    sessions.end_all(connection, user)


def renew_hash(connection: Connection, user: UserRow, former: str, latter: str) -> None:
    """The same password by newer parameters of Argon2, unless it was changed meanwhile."""
    connection.execute(
        update(users).where(users.c.id == user, users.c.password_hash == former).values(password_hash=latter)
    )


def note_login(connection: Connection, user: UserRow, now: int) -> None:
    """The user has logged in."""
    _set(connection, user, {"seen_at": now})


def add_link(connection: Connection, user: UserRow, digest: bytes, expires_at: int) -> None:
    """A link by which the user sets a password; it ends the one before."""
    connection.execute(delete(password_links).where(password_links.c.user_id == user))
    connection.execute(insert(password_links), {"digest": digest, "user_id": user, "expires_at": expires_at})


def of_link(connection: Connection, digest: bytes, now: int) -> User | None:
    """Whose password a link sets; None for a link that was used, has expired or never was."""
    wanted = select(users).join(password_links, password_links.c.user_id == users.c.id)
    wanted = wanted.where(password_links.c.digest == digest, password_links.c.expires_at > now, users.c.enabled)
    row = connection.execute(wanted).first()
    return None if row is None else _user(row)


def use_link(connection: Connection, digest: bytes, now: int) -> User | None:
    """As `of_link`; the link opens nothing any more, to whoever uses it at the same moment neither."""
    lock(connection, _LOCK)
    user = of_link(connection, digest, now)
    if user is not None:
        connection.execute(delete(password_links).where(password_links.c.digest == digest))
    return user


def hold(connection: Connection) -> None:
    """Let nobody else make or change users until the transaction ends."""
    lock(connection, _LOCK)


def _change(connection: Connection, name: str, values: dict[str, Any], *, keeps_admin: bool) -> User:
    lock(connection, _LOCK)
    user = get(connection, name)
    if not keeps_admin and user.role is Role.ADMIN and user.is_enabled and _admins(connection) == 1:
        raise Conflict("it is the last admin; make another one first", place="name")
    _set(connection, user.row, values)
    sessions.end_all(connection, user.row)
    return get(connection, name)


def _admins(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(users).where(_IS_ADMIN)).scalar_one())


def _set(connection: Connection, user: UserRow, values: dict[str, Any]) -> None:
    connection.execute(update(users).where(users.c.id == user).values(values))


def _user(row: Any) -> User:
    return User(
        row=UserRow(row.id), name=row.name, role=Role(row.role), login=Login(row.login),
        password_hash=row.password_hash, is_enabled=row.enabled, made_at=row.made_at, made_by=row.made_by,
        seen_at=row.seen_at,
    )  # fmt: skip


_IS_ADMIN: Final[ColumnElement[bool]] = (users.c.role == Role.ADMIN) & users.c.enabled
