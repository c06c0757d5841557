"""The page Users: users and API tokens, for admins. What is shown once comes with the answer to its form."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from aiohttp import web
from pydantic import BeforeValidator, Field

from gateway.errors import Rejected
from gateway.operations.answers.people import UserChanged
from gateway.operations.people import tokens, users
from gateway.records.person import Role
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.failures import status_of
from gateway.web.requests import RequestParameters, Words
from gateway.web.routes import Route, RouteContext

_OrNone = BeforeValidator(lambda value: value or None)


class NewUser(RequestParameters):
    name: Words
    role: Role


class NamedUser(RequestParameters):
    name: Words


class NewToken(RequestParameters):
    name: Words
    role: Annotated[Role | None, _OrNone] = None
    scanner: Words = ""
    days: Annotated[float | None, _OrNone, Field(gt=0, le=3650, allow_inf_nan=False)] = None


async def show_users(context: RouteContext, parameters: PageParameters) -> web.Response:
    """Users and API tokens, with what an admin can do about them."""
    return await _page(context, parameters)


async def make_user(context: RouteContext, parameters: NewUser) -> web.Response:
    """Make a user; the page shows the link on which the user sets a password."""
    return await _with_link(context, partial(users.add, name=parameters.name, role=parameters.role))


async def make_user_link(context: RouteContext, parameters: NamedUser) -> web.Response:
    """Make a new link on which a user sets a password; the page shows it."""
    return await _with_link(context, partial(users.link, name=parameters.name))


async def make_user_token(context: RouteContext, parameters: NewToken) -> web.Response:
    """Make an API token; the page shows it."""
    make = partial(
        tokens.make, name=parameters.name, role=parameters.role, scanner=parameters.scanner, days=parameters.days,
        person=context.person, now=context.clock(),
    )  # fmt: skip
    try:
        answer = await context.store.write(make)
    except Rejected as error:
        return await _page(context, fault=str(error), status=status_of(error))
    return await _page(context, made={"text": f"The token of {answer.name}:", "secret": answer.token})


async def _with_link(context: RouteContext, change: partial[UserChanged]) -> web.Response:
    try:
        answer = await context.store.write(partial(change, person=context.person, now=context.clock()))
    except Rejected as error:
        return await _page(context, fault=str(error), status=status_of(error))
    text = f"{answer.name} sets a password here, once, within a day:"
    return await _page(context, made={"text": text, "secret": f"{context.visit.origin}{answer.link}"})


async def _page(
    context: RouteContext, parameters: PageParameters | None = None, *, made: dict[str, str] | None = None,
    fault: str = "", status: int = 200,
) -> web.Response:  # fmt: skip
    listed = await context.store.read(users.listing)
    kept = await context.store.read(partial(tokens.listing, now=context.clock()))
    return page(
        context, "users.html", parameters, title="Users", current="/users", status=status, users=listed.users,
        tokens=kept.tokens, roles=list(Role), made=made, fault=fault,
    )  # fmt: skip


ROUTES: Final = (
    Route("GET", "/users", show_users, "text/html", PageParameters, role=Role.ADMIN),
    Route("POST", "/users/new", make_user, "text/html", NewUser, (409,), role=Role.ADMIN, in_body=True),
    Route("POST", "/users/link", make_user_link, "text/html", NamedUser, (404, 409), role=Role.ADMIN, in_body=True),
    Route("POST", "/users/token", make_user_token, "text/html", NewToken, (409,), role=Role.ADMIN, in_body=True),
)
