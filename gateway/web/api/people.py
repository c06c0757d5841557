"""Handlers and routes of users and API tokens, for admins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, Field

from gateway.operations.answers import people as answers
from gateway.operations.people import tokens, users
from gateway.records.person import Role
from gateway.web.requests import NoParameters, RequestParameters, Words
from gateway.web.routes import Notice, Route, RouteContext

T = TypeVar("T")
Name = Annotated[Words, Field(min_length=1, description="Name of the user or token")]
Days = Annotated[
    float | None,
    BeforeValidator(lambda value: value or None),
    Field(gt=0, le=3650, allow_inf_nan=False, description="How long it counts; empty: until it is revoked"),
]


class NameParameters(RequestParameters):
    name: Name


class RoleParameters(NameParameters):
    role: Role


class TokenParameters(NameParameters):
    role: Annotated[
        Role | None, BeforeValidator(lambda value: value or None), Field(description="At the console and the API")
    ] = None
    scanner: Words = Field(default="", description="AE title of the scanner that it is for, in place of a role")
    days: Days = None


async def list_users(context: RouteContext, parameters: NoParameters) -> answers.Users:
    """Users of the console, by name."""
    return await context.store.read(users.listing)


async def add_user(context: RouteContext, parameters: RoleParameters) -> answers.UserChanged:
    """A new user. The answer holds the link on which the user sets a password, once."""
    return await _do(context, partial(users.add, name=parameters.name, role=parameters.role))


async def give_role(context: RouteContext, parameters: RoleParameters) -> answers.UserChanged:
    """Give a user another role. Its sessions end. 409 for the last admin."""
    return await _do(context, partial(users.give_role, name=parameters.name, role=parameters.role))


async def disable_user(context: RouteContext, parameters: NameParameters) -> answers.UserChanged:
    """Let a user in no more. Its sessions end. 409 for the last admin."""
    return await _do(context, partial(users.enable, name=parameters.name, enabled=False))


async def enable_user(context: RouteContext, parameters: NameParameters) -> answers.UserChanged:
    """Let a user in again."""
    return await _do(context, partial(users.enable, name=parameters.name, enabled=True))


async def make_link(context: RouteContext, parameters: NameParameters) -> answers.UserChanged:
    """A new link on which a user sets a password, once; one before opens nothing any more."""
    return await _do(context, partial(users.link, name=parameters.name))


async def list_tokens(context: RouteContext, parameters: NoParameters) -> answers.Tokens:
    """API tokens, by name; of their secrets only hashes are kept."""
    return await context.store.read(partial(tokens.listing, now=context.clock()))


async def make_token(context: RouteContext, parameters: TokenParameters) -> answers.TokenMade:
    """A new API token: with a role for the console and the API, or for a scanner that speaks DICOMweb.

    The token is in this answer alone. 409 while another one of the name counts.
    """
    wanted = partial(
        tokens.make, name=parameters.name, role=parameters.role, scanner=parameters.scanner, days=parameters.days
    )
    return await _do(context, wanted)


async def revoke_token(context: RouteContext, parameters: NameParameters) -> answers.TokenRevoked:
    """Let a token open nothing from now on."""
    return await _do(context, partial(tokens.revoke, name=parameters.name))


async def _do(context: RouteContext, change: Callable[..., T]) -> T:
    return await context.store.write(partial(change, person=context.person, now=context.clock()))


def _route(path: str, handler: Any, answer: Any, parameters: Any, errors: tuple[int, ...], **more: Any) -> Route:
    return Route("POST", path, handler, answer, parameters, errors, role=Role.ADMIN, **more)


_USER: Final = "/api/users/{name}"
ROUTES: Final = (
    Route("GET", "/api/users", list_users, answers.Users, role=Role.ADMIN),
    Route("GET", "/api/tokens", list_tokens, answers.Tokens, role=Role.ADMIN),
    _route("/api/users", add_user, answers.UserChanged, RoleParameters, (409,)),
    _route(f"{_USER}/role", give_role, answers.UserChanged, RoleParameters, (404, 409),
           notice=lambda _: Notice("user_changed")),
    _route(f"{_USER}/disable", disable_user, answers.UserChanged, NameParameters, (404, 409),
           notice=lambda _: Notice("user_disabled")),
    _route(f"{_USER}/enable", enable_user, answers.UserChanged, NameParameters, (404,),
           notice=lambda _: Notice("user_changed")),
    _route(f"{_USER}/link", make_link, answers.UserChanged, NameParameters, (404, 409)),
    _route("/api/tokens", make_token, answers.TokenMade, TokenParameters, (409,)),
    _route("/api/tokens/{name}/revoke", revoke_token, answers.TokenRevoked, NameParameters, (404, 409),
           notice=lambda _: Notice("token_revoked")),
)  # fmt: skip
