"""The pages on which people log in and set their passwords."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import ConfigDict, Field

from gateway.errors import GatewayError, InvalidValue
from gateway.operations.people.provider import ProviderLogins
from gateway.operations.people.refusals import TooManyTries, WrongSecret
from gateway.records.person import Login, Role
from gateway.records.user import SHORTEST_PASSWORD
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.login import cookies
from gateway.web.requests import NoParameters, RequestParameters, Words, local_path
from gateway.web.routes import Route, RouteContext

CALLBACK: Final = "/login/oidc/callback"
"""Where the identity provider sends people back to."""
_Stated = Annotated[str | None, Field(max_length=4096)]
Password = Annotated[str, Field(max_length=4096)]
_STATUSES: Final = ((InvalidValue, 400), (WrongSecret, 401), (TooManyTries, 429))


class LoginParameters(PageParameters):
    back: Annotated[str, Field(max_length=2048, description="Page to go on to")] = "/"


class ProviderAnswer(RequestParameters):
    """What identity providers add besides is left unread."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: _Stated = None
    state: _Stated = None
    iss: _Stated = None
    error: _Stated = None


class GivenParameters(RequestParameters):
    name: Words
    password: Password
    to: Annotated[str, Field(max_length=2048, description="Page to go on to")] = "/"


class LinkParameters(PageParameters):
    link: Words


class NewPasswordParameters(RequestParameters):
    link: Words
    password: Password
    username: Words = Field(default="", description="For password managers; not read")


class ChangedPasswordParameters(RequestParameters):
    former: Password
    password: Password


async def show_login(context: RouteContext, parameters: LoginParameters) -> web.Response:
    """The page on which people log in."""
    return _login_page(context, parameters.back)


async def log_in(context: RouteContext, parameters: GivenParameters) -> web.Response:
    """Begin a session: 303 with its cookie. 401 for a wrong name or password, 429 after too many of them."""
    try:
        secret = await context.people.log_in(parameters.name, parameters.password, context.visit.address)
    except (WrongSecret, TooManyTries) as error:
        return _with_status(_login_page(context, parameters.to, str(error), parameters.name), error)
    return entered(context, secret, parameters.to)


async def begin_at_provider(context: RouteContext, parameters: LoginParameters) -> web.Response:
    """To the identity provider: 303."""
    address, kept = await _provider(context).begin(_redirect_uri(context), parameters.back)
    response = web.Response(status=303, headers={hdrs.LOCATION: address})
    cookies.keep(response, cookies.LOGIN, kept, context.visit, seconds=cookies.LOGIN_SECONDS)
    return response


async def come_back(context: RouteContext, parameters: ProviderAnswer) -> web.Response:
    """Back from the identity provider: begin a session. 401 where it does not say who somebody is, or gives no role.

    429 after too many that came to nothing.
    """
    answer = {name: value for name, value in parameters.model_dump().items() if value is not None}
    try:
        secret, to = await _provider(context).finish(
            answer, context.visit.login, _redirect_uri(context), context.visit.address
        )
    except (WrongSecret, TooManyTries) as error:
        return _with_status(_login_page(context, "/", str(error)), error)
    response = entered(context, secret, to)
    cookies.forget(response, cookies.LOGIN, context.visit)
    return response


async def log_out(context: RouteContext, parameters: NoParameters) -> web.Response:
    """End the session: 303 to the page for a login; of the identity provider's users, a page that leads on there."""
    session = context.visit.session
    if context.visit.secret:
        await context.people.log_out(context.visit.secret, context.person)
    response = web.Response(status=303, headers={hdrs.LOCATION: "/login"})
    if session is not None and session.id_token and context.provider is not None:
        response = await _log_out_there(context, context.provider, session.id_token)
    cookies.forget(response, cookies.SESSION, context.visit)
    return response


async def show_password(context: RouteContext, parameters: LinkParameters) -> web.Response:
    """The page of a link on which a user sets a password, once."""
    user = await context.people.of_link(parameters.link, context.visit.address)
    return _password_page(context, user.name, link=parameters.link)


async def set_password(context: RouteContext, parameters: NewPasswordParameters) -> web.Response:
    """Set the password of a link's user, and begin a session. 401 for a link that opens nothing."""
    try:
        secret = await context.people.set_password(parameters.link, parameters.password, context.visit.address)
    except InvalidValue as error:
        user = await context.people.of_link(parameters.link, context.visit.address)
        return _with_status(_password_page(context, user.name, str(error), link=parameters.link), error)
    return entered(context, secret, "/")


async def show_account(context: RouteContext, parameters: PageParameters) -> web.Response:
    """The page on which a user changes the password."""
    _password_of_ones_own(context)
    return _password_page(context, context.person.name)


async def change_password(context: RouteContext, parameters: ChangedPasswordParameters) -> web.Response:
    """Another password in place of the one of today; all sessions of the user end, and a new one begins."""
    _password_of_ones_own(context)
    session = context.visit.session
    assert session is not None
    try:
        secret = await context.people.change_password(
            session, parameters.former, parameters.password, context.visit.address
        )
    except (InvalidValue, WrongSecret, TooManyTries) as error:
        return _with_status(_password_page(context, session.name, str(error)), error)
    return entered(context, secret, "/")


async def _log_out_there(context: RouteContext, provider: ProviderLogins, id_token: str) -> web.Response:
    try:
        address = await provider.logout_url(id_token, f"{context.visit.origin}/login")
    except GatewayError:
        address = ""
    # Not 303: what a form may lead to, redirections too, is this server alone (Content-Security-Policy).
    response = page(context, "logged_out.html", title="Logged out", bare=True, address=address, label=provider.label)
    if address:
        response.headers["Refresh"] = f"2; url={address}"
    return response


def _provider(context: RouteContext) -> ProviderLogins:
    if context.provider is None:
        raise web.HTTPNotFound(text="there is no identity provider (http.oidc)")
    return context.provider


def _redirect_uri(context: RouteContext) -> str:
    return f"{context.visit.origin}{CALLBACK}"


def entered(context: RouteContext, secret: str, back: str) -> web.Response:
    """303 to a page, with the cookie of a session."""
    response = web.Response(status=303, headers={hdrs.LOCATION: str(local_path(back))})
    cookies.keep(response, cookies.SESSION, secret, context.visit)
    return response


def _password_of_ones_own(context: RouteContext) -> None:
    if context.person.login is not Login.PASSWORD:
        raise web.HTTPNotFound(text="this login has no password here")


def _login_page(context: RouteContext, back: str, fault: str = "", name: str = "") -> web.Response:
    label = context.provider.label if context.provider else ""
    return page(
        context, "login.html", title="Log in", bare=True, back=back, fault=fault, name=name, provider=label,
        is_secure=context.visit.is_secure or context.visit.is_local,
    )  # fmt: skip


def _password_page(context: RouteContext, name: str, fault: str = "", link: str = "") -> web.Response:
    action = "/password" if link else "/account"
    return page(
        context, "password.html", title=f"Password of {name}", bare=bool(link), name=name, fault=fault, link=link,
        action=action, shortest=SHORTEST_PASSWORD,
    )  # fmt: skip


def _with_status(response: web.Response, error: GatewayError) -> web.Response:
    response.set_status(next(status for kind, status in _STATUSES if isinstance(error, kind)))
    if isinstance(error, TooManyTries):
        response.headers[hdrs.RETRY_AFTER] = f"{error.retry_after:.0f}"
    return response


ROUTES: Final = (
    Route("GET", "/login", show_login, "text/html", LoginParameters, open=True),
    Route("POST", "/login", log_in, "text/html", GivenParameters, (303, 401, 429), open=True, in_body=True),
    Route("GET", "/login/oidc", begin_at_provider, "text/html", LoginParameters, (303, 401, 404), open=True),
    Route("GET", CALLBACK, come_back, "text/html", ProviderAnswer, (303, 401, 404, 429), open=True),
    Route("POST", "/logout", log_out, "text/html", errors=(303,), role=Role.VIEWER),
    Route("GET", "/password", show_password, "text/html", LinkParameters, (401, 429), open=True),
    Route("POST", "/password", set_password, "text/html", NewPasswordParameters, (303, 401, 429), open=True,
          in_body=True),
    Route("GET", "/account", show_account, "text/html", PageParameters, (404,)),
    Route("POST", "/account", change_password, "text/html", ChangedPasswordParameters, (303, 404, 429),
          role=Role.VIEWER, in_body=True),
)  # fmt: skip
