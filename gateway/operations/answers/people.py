"""Answers about users and API tokens."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.records.person import Login, Role


class UserState(Answer):
    """A user of the console."""

    name: str
    role: Role
    login: Login = Field(description="password, or oidc: the identity provider says name and role")
    enabled: bool
    has_password: bool
    made_at: Moment
    made_by: str
    seen_at: Moment | None = Field(description="Last login")


class Users(Answer):
    users: list[UserState]


class UserChanged(Answer):
    """What came of a change."""

    name: str
    role: Role
    enabled: bool
    link: str = Field(
        default="", description="Path of the page on which the user sets a password, once; shown here alone"
    )
    link_ends_at: Moment | None = None

    def __str__(self) -> str:
        state = f"{self.name}: {self.role}{'' if self.enabled else ', disabled'}"
        ends = f" until {self.link_ends_at[:16]}Z" if self.link_ends_at else ""
        return f"{state}; sets a password once{ends} at {self.link}" if self.link else state


class TokenState(Answer):
    """An API token; of its secret only a hash is kept."""

    name: str
    role: Role | None = Field(description="null: a scanner's, which opens /dicomweb alone")
    ae_title: str = Field(description="Of the scanner")
    counts: bool = Field(description="Neither revoked nor expired")
    made_at: Moment
    made_by: str
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None


class Tokens(Answer):
    tokens: list[TokenState]


class TokenMade(Answer):
    name: str
    token: str = Field(description="Shown here alone")

    def __str__(self) -> str:
        return f"{self.name}: {self.token}"


class TokenRevoked(Answer):
    name: str
    revoked: bool = True

    def __str__(self) -> str:
        return f"{self.name}: opens nothing any more"
