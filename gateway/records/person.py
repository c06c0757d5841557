"""Who uses the HTTP side or gives a command, and what this person may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a person may do; each role includes those before it."""

    VIEWER = "viewer"
    """See patients' data, change nothing."""
    OPERATOR = "operator"
    """Repeat, resend, link, put away."""
    ADMIN = "admin"
    """Users, tokens, configuration, erasure."""

    def includes(self, other: Role) -> bool:
        """Whether whoever has this role may do what `other` may."""
        return _RANKS[self] >= _RANKS[other]


_RANKS: Final = {role: rank for rank, role in enumerate(Role)}


class Login(StrEnum):
    """How a person showed who it is."""

    NONE = "none"
    """Not at all: a route that is open to everybody."""
    LOOPBACK = "loopback"
    """By being on this machine, where no login is asked for."""
    TOKEN = "token"
    """By `http.token`, which several persons and programs may hold."""
    CLIENT = "client"
    """By an API token of its own."""
    PASSWORD = "password"
    OIDC = "oidc"
    COMMAND = "command"
    """At the command line, as a user of the system."""


_NAMED: Final = frozenset({Login.CLIENT, Login.PASSWORD, Login.OIDC})


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever makes a request."""

    name: str
    """Of the user or API token; "token" for `http.token`, "" where nobody logged in."""
    role: Role
    address: str
    """IP address."""
    login: Login

    @property
    def is_named(self) -> bool:
        """Whether the login proves the name, so that a request may state no other."""
        return self.login in _NAMED

    @property
    def shown(self) -> str:
        """The name, or how there is none."""
        return self.name or self.login


NOBODY: Final = Person("", Role.VIEWER, "", Login.NONE)
"""Whoever asks for what is open to everybody."""
