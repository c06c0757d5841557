"""Every route of the table, asked by everybody who should not get an answer."""

from __future__ import annotations

import re
from functools import partial

from aiohttp import ClientSession, hdrs

from gateway.operations.people import tokens
from gateway.records.audit import Action, AuditType, Outcome
from gateway.records.person import Role
from gateway.web.routes import Route
from gateway.web.server import ROUTES
from tests.web.browsing import OWNER
from tests.web.served import SECOND, Served, add_message, served

HOUR = 3600 * SECOND
GUARDED = [route for route in ROUTES if not route.open]
OPEN = {
    "/login", "/login/oidc", "/login/oidc/callback", "/password", "/static/{name}", "/health/live", "/health/ready",
    "/.well-known/jwks.json",
}  # fmt: skip


async def _token(console: Served, name: str, role: Role | None, scanner: str = "", days: float | None = None) -> str:
    make = partial(tokens.make, role=role, scanner=scanner, days=days, person=OWNER, now=console.now)
    return (await console.store.write(partial(make, name=name))).token


async def _status(session: ClientSession, console: Served, method: str, route: Route, token: str) -> int:
    address = console.base + re.sub(r"\{\w+\}", "1", route.path)
    headers = {hdrs.AUTHORIZATION: f"Bearer {token}"} if token else {}
    async with session.request(method, address, headers=headers, allow_redirects=False) as answer:
        return answer.status


def test_what_is_open_to_everybody_is_listed() -> None:
    assert {route.path for route in ROUTES if route.open} == OPEN


async def test_each_route_is_closed_to_those_it_is_not_for(sqlite_url: str) -> None:
    async with served(sqlite_url, token="of the configuration") as console, ClientSession() as session:
        of_role = {role: await _token(console, role, role) for role in Role}
        scanner = await _token(console, "ct1", None, scanner="CT1")
        for route in GUARDED:
            console.now += HOUR
            status = partial(_status, session, console, route.method, route)
            assert await status("") == 401, route.path
            assert await status(scanner) == 403, route.path
            for role, token in of_role.items():
                if not role.includes(route.role_needed):
                    assert await status(token) == 403, (route.path, role)


async def test_a_token_that_has_ended_opens_no_route(sqlite_url: str) -> None:
    async with served(sqlite_url, token="of the configuration") as console, ClientSession() as session:
        expired = await _token(console, "expired", Role.ADMIN, days=1)
        revoked = await _token(console, "revoked", Role.ADMIN)
        for token in (expired, revoked):
            assert await _status(session, console, "GET", GUARDED[0], token) == 200
        console.now += 25 * HOUR
        await console.store.write(partial(tokens.revoke, name="revoked", person=OWNER, now=console.now))
        for route in GUARDED:
            for token in (expired, revoked):
                assert await _status(session, console, route.method, route, token) in (401, 429), route.path


async def test_other_methods_pass_no_door_either(sqlite_url: str) -> None:
    async with served(sqlite_url, token="of the configuration") as console, ClientSession() as session:
        viewer = await _token(console, "viewer", Role.VIEWER)
        for route in GUARDED:
            for method in ("HEAD", "PUT"):
                assert await _status(session, console, method, route, "") == 401, (method, route.path)
                allowed = (
                    {403, 405} if method == "HEAD" and route.role_needed is not Role.VIEWER else {200, 400, 404, 405}
                )
                if route.path != "/events":
                    assert await _status(session, console, method, route, viewer) in allowed, (method, route.path)


async def test_a_head_of_a_page_is_no_change_in_the_trail(sqlite_url: str) -> None:
    async with served(sqlite_url, token="of the configuration") as console, ClientSession() as session:
        row = await console.store.write(add_message)
        viewer = await _token(console, "viewer", Role.VIEWER)
        shown = {hdrs.AUTHORIZATION: f"Bearer {viewer}"}
        async with session.head(f"{console.base}/api/messages/{row}", headers=shown) as answer:
            assert answer.status == 200
    assert [event.action for event in console.noted if event.actor.name == "viewer"] == [Action.READ]


async def test_who_asks_for_more_than_the_role_allows_is_in_the_trail(sqlite_url: str) -> None:
    async with served(sqlite_url, token="of the configuration") as console:
        shown = {hdrs.AUTHORIZATION: f"Bearer {await _token(console, 'viewer', Role.VIEWER)}"}
        assert (await console.post("/api/messages/1/replay", headers=shown))[0] == 403
    [event] = console.noted
    assert (event.actor.name, event.outcome, event.type) == (
        "viewer", Outcome.MINOR_FAILURE, AuditType.USE_OF_RESTRICTED_FUNCTION,
    )  # fmt: skip
    assert event.detail == {"path": "/api/messages/1/replay", "needs": "operator"}
