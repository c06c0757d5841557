"""The cookie of a session (RFC 6265bis): no script reads it, no other site sends it with a form, TLS keeps it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.web.login.visit import Visit

SESSION: Final = "gateway-session"
LOGIN: Final = "gateway-login"
"""While somebody is at the identity provider."""
LOGIN_SECONDS: Final = 600


def name_of(name: str, *, is_secure: bool) -> str:
    """With the prefix by which browsers take it from this host alone, and over TLS alone."""
    return f"__Host-{name}" if is_secure else name


def read(request: web.Request, name: str, *, is_secure: bool) -> str:
    """The value of a cookie; empty: there is none."""
    return request.cookies.get(name_of(name, is_secure=is_secure), "")


def keep(response: web.Response, name: str, value: str, visit: Visit, *, seconds: int | None = None) -> None:
    """Let the browser keep a cookie; `seconds`: None is until it is closed."""
    response.set_cookie(
        name_of(name, is_secure=visit.is_secure), value, max_age=seconds, path="/", httponly=True,
        secure=visit.is_secure, samesite="Lax",
    )  # fmt: skip


def forget(response: web.Response, name: str, visit: Visit) -> None:
    """Let the browser forget a cookie."""
    keep(response, name, "", visit, seconds=0)
