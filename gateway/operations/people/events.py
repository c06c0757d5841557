"""Events of the audit trail about people: logins, and what admins change about users and API tokens."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.operations.answers.people import TokenMade, TokenRevoked, UserChanged
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind, AuditType, Outcome
from gateway.records.person import Login, Person
from gateway.store.audit import record

__all__ = [
    "link_made", "login", "logout", "record", "refused", "throttled", "token_made", "token_revoked", "user_added",
    "user_changed",
]  # fmt: skip


def login(person: Person, now: int) -> AuditEvent:
    """A person has logged in."""
    return _login(person, now, AuditType.LOGIN)


def logout(person: Person, now: int) -> AuditEvent:
    """A person has logged out."""
    return _login(person, now, AuditType.LOGOUT)


def refused(kind: Login, name: str, address: str, now: int) -> AuditEvent:
    """A wrong password or token. `name`: of the user, empty where there is none of the name that was given."""
    actor = Actor(name, ActorKind.PERSON if kind is not Login.TOKEN else ActorKind.CLIENT, address)
    return _event(AuditKind.USER_AUTHENTICATION, AuditType.LOGIN, Action.EXECUTE, actor, now, {"login": kind},
                  Outcome.MINOR_FAILURE)  # fmt: skip


def throttled(kind: Login, address: str, now: int) -> AuditEvent:
    """So many wrong passwords or tokens that an address or account must wait."""
    actor = Actor("", ActorKind.CLIENT, address)
    return _event(AuditKind.SECURITY_ALERT, AuditType.NODE_AUTHENTICATION, Action.EXECUTE, actor, now,
                  {"login": kind, "why": "too many wrong tries"}, Outcome.SERIOUS_FAILURE)  # fmt: skip


def user_added(answer: UserChanged, person: Person, now: int) -> AuditEvent:
    """An admin made a user."""
    return _changed(person, now, Action.CREATE, {"user": answer.name, "role": answer.role})


def user_changed(answer: UserChanged, person: Person, now: int) -> AuditEvent:
    """An admin gave a role, disabled or enabled."""
    state = "enabled" if answer.enabled else "disabled"
    return _changed(person, now, Action.UPDATE, {"user": answer.name, "role": answer.role, "state": state})


def link_made(answer: UserChanged, person: Person, now: int) -> AuditEvent:
    """An admin made a link by which a password is set."""
    return _changed(person, now, Action.UPDATE, {"user": answer.name, "what": "link for a password"})


def token_made(answer: TokenMade, person: Person, now: int) -> AuditEvent:
    """An admin made an API token."""
    return _changed(person, now, Action.CREATE, {"token": answer.name})


def token_revoked(answer: TokenRevoked, person: Person, now: int) -> AuditEvent:
    """An admin revoked an API token."""
    return _changed(person, now, Action.DELETE, {"token": answer.name})


def _login(person: Person, now: int, kind: AuditType) -> AuditEvent:
    return _event(AuditKind.USER_AUTHENTICATION, kind, Action.EXECUTE, _actor(person), now, {"login": person.login})


def _changed(person: Person, now: int, action: Action, detail: Mapping[str, str]) -> AuditEvent:
    return _event(AuditKind.SECURITY_ALERT, AuditType.SECURITY_CONFIGURATION, action, _actor(person), now, detail)


def _actor(person: Person) -> Actor:
    return Actor(person.name, ActorKind.PERSON, person.address, person.role)


def _event(
    kind: AuditKind, type: AuditType, action: Action, actor: Actor, now: int, detail: Mapping[str, str],
    outcome: Outcome = Outcome.SUCCESS,
) -> AuditEvent:  # fmt: skip
    return AuditEvent(
        kind=kind, action=action, moment=now, actor=actor, type=type, outcome=outcome,
        detail={name: str(value) for name, value in detail.items()},
    )  # fmt: skip
