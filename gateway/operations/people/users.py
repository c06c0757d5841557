"""What admins do with users: the same at the command line, in the console and over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from gateway.errors import Conflict
from gateway.operations.answers.people import UserChanged, Users, UserState
from gateway.operations.people import events
from gateway.records.audit import AuditEvent
from gateway.records.person import Login, Person, Role
from gateway.records.secret import digest_of, new_secret
from gateway.records.user import LINK_LASTS, User, name_of_user
from gateway.store import users

FIRST_ADMIN: Final = "admin"
THE_START: Final = Person("gateway run", Role.ADMIN, "", Login.COMMAND)


def listing(connection: Connection) -> Users:
    """All users, by name."""
    return Users(users=[state_of(user) for user in users.listing(connection)])


def state_of(user: User) -> UserState:
    """A user without the hash of its password."""
    return UserState.model_validate({
        "name": user.name, "role": user.role, "login": user.login, "enabled": user.is_enabled,
        "has_password": bool(user.password_hash), "made_at": user.made_at, "made_by": user.made_by,
        "seen_at": user.seen_at,
    })  # fmt: skip


def add(connection: Connection, name: str, role: Role, *, person: Person, now: int) -> UserChanged:
    """A new user, with the link on which it sets its password. Raises `InvalidValue`, `Conflict`."""
    user = users.add(connection, name_of_user(name), role, login=Login.PASSWORD, by=person.shown, now=now)
    return _noted(connection, events.user_added, _with_link(connection, user, now), person, now)


def give_role(connection: Connection, name: str, role: Role, *, person: Person, now: int) -> UserChanged:
    """Another role; the sessions of the user end. Raises `UnknownKey`, `Conflict` for the last admin."""
    answer = _changed(users.set_role(connection, name.lower(), role))
    return _noted(connection, events.user_changed, answer, person, now)


def enable(connection: Connection, name: str, *, enabled: bool, person: Person, now: int) -> UserChanged:
    """Let a user in again, or no more: its sessions end. Raises as `give_role`."""
    answer = _changed(users.set_enabled(connection, name.lower(), enabled=enabled))
    return _noted(connection, events.user_changed, answer, person, now)


def link(connection: Connection, name: str, *, person: Person, now: int) -> UserChanged:
    """A new link on which the user sets a password, in place of one before.

    Raises `UnknownKey`; `Conflict` for a user who is disabled or of the identity provider.
    """
    user = users.get(connection, name.lower())
    if not user.is_enabled:
        raise Conflict("it is disabled", place="name")
    if user.login is not Login.PASSWORD:
        raise Conflict("it logs in at the identity provider and has no password here", place="name")
    return _noted(connection, events.link_made, _with_link(connection, user, now), person, now)


def first_admin(connection: Connection, *, now: int) -> UserChanged | None:
    """A link for the first admin, who is made where there is none; None: an admin can log in already."""
    # Two gateways at one database may start at once.
    users.hold(connection)
    if users.admin_can_log_in(connection):
        return None
    user = users.find(connection, FIRST_ADMIN)
    if user is None:
        user = users.add(connection, FIRST_ADMIN, Role.ADMIN, login=Login.PASSWORD, by=THE_START.name, now=now)
    if user.role is not Role.ADMIN or not user.is_enabled:
        return None
    return _noted(connection, events.link_made, _with_link(connection, user, now), THE_START, now)


def _noted(
    connection: Connection, event: Callable[[UserChanged, Person, int], AuditEvent], answer: UserChanged,
    person: Person, now: int,
) -> UserChanged:  # fmt: skip
    events.record(connection, event(answer, person, now))
    return answer


def _with_link(connection: Connection, user: User, now: int) -> UserChanged:
    secret, ends = new_secret(), now + LINK_LASTS
    users.add_link(connection, user.row, digest_of(secret), ends)
    return UserChanged.model_validate({
        "name": user.name, "role": user.role, "enabled": user.is_enabled, "link": f"/password?link={secret}",
        "link_ends_at": ends,
    })  # fmt: skip


def _changed(user: User) -> UserChanged:
    return UserChanged(name=user.name, role=user.role, enabled=user.is_enabled)
