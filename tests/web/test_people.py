"""Users of the console: logins, sessions, roles, forms, links, and how often a password may be guessed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import select

from gateway.observe import metrics
from gateway.operations.people import tokens, users
from gateway.records.audit import AuditType
from gateway.records.person import Role
from gateway.store.schema import sessions
from tests.conftest import comes_true
from tests.store.audit_events import events_of
from tests.web.browsing import OWNER, PASSWORD, add_user, browser
from tests.web.served import SECOND, Served, add_message, served

HOUR = 3600 * SECOND
WRONG = "not the password at all"


@pytest.fixture
async def console(sqlite_url: str) -> AsyncIterator[Served]:
    async with served(sqlite_url) as one:
        for name, role in (("ada", Role.ADMIN), ("otto", Role.OPERATOR), ("vera", Role.VIEWER)):
            await add_user(one.store, name, role, now=one.now)
        await _noticed(one)
        yield one


async def _noticed(console: Served) -> None:
    """Wait until the gateway asks for a login, since there are users."""
    console.now += 3 * SECOND
    await comes_true(lambda: console.get("/api/tokens"), lambda answer: answer[0] != 200)


async def _events(console: Served) -> list[tuple[str, int, str]]:
    """Type, outcome and actor of logins and alerts that are in the trail."""
    events = await console.store.read(events_of)
    return [(event.type, event.outcome, event.actor.name) for event in events]


async def test_a_user_logs_in_and_goes_on_to_the_page_that_was_asked_for(console: Served) -> None:
    async with browser(console.base) as someone:
        asked = await someone.open("/messages?state=failed")
        assert (asked.status, asked.place) == (303, "/login?back=/messages?state%3Dfailed")
        page = await someone.open(asked.place)
        assert (page.status, 'value="/messages?state=failed"' in page.text) == (200, True)
        back = {"name": " Vera ", "password": PASSWORD, "to": "/messages?state=failed"}
        entered = await someone.post("/login", back)
        assert (entered.status, entered.place) == (303, "/messages?state=failed")
        cookie = entered.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie, "the connection is not encrypted"
        page = await someone.open("/messages")
        assert (page.status, "vera</a>" in page.text, "Log out" in page.text) == (200, True, True)
        secret = cookie.split("=")[1].split(";")[0]
        kept = await console.store.read(lambda c: c.execute(select(sessions.c.digest)).scalars().all())
        assert secret.encode() not in b"".join(kept)
    assert (AuditType.LOGIN, 0, "vera") in await _events(console)


async def test_a_page_of_another_place_is_not_gone_on_to(console: Served) -> None:
    async with browser(console.base) as someone:
        away = {"name": "vera", "password": PASSWORD, "to": "https://elsewhere.example/"}
        assert (await someone.post("/login", away)).place == "/"


async def test_sixty_wrong_passwords_in_a_minute_are_slowed_down(
    console: Served, caplog: pytest.LogCaptureFixture
) -> None:
    before = metrics.LOGINS.labels("password", "throttled")._value.get()
    async with browser(console.base) as thief, browser(console.base) as owner:
        with caplog.at_level(logging.WARNING):
            answers = [await thief.log_in("otto", f"{WRONG} {number}") for number in range(60)]
        statuses = [one.status for one in answers]
        assert statuses[:5] == [401] * 5
        assert set(statuses[5:]) <= {401, 429}
        assert statuses.count(429) >= 50
        stopped = next(one for one in answers if one.status == 429)
        assert 1 <= int(stopped.headers["Retry-After"]) <= 30
        assert "too many wrong tries" in stopped.text
        assert (await thief.log_in("otto")).status == 429, "the right one does not tell that it is"
        assert (await owner.log_in("vera")).status == 303
    assert metrics.LOGINS.labels("password", "throttled")._value.get() - before >= 50
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    lines = [record.getMessage() for record in warnings if "login" in record.getMessage()]
    slowed = [line for line in lines if "slowed down" in line]
    assert len(lines) - len(slowed) == statuses.count(401)
    # Once for the account and once for the address, at most.
    assert 1 <= len(slowed) <= 2
    assert not [line for line in lines if WRONG in line]
    events = await _events(console)
    assert events.count((AuditType.LOGIN, 4, "otto")) == statuses.count(401)
    assert events.count((AuditType.NODE_AUTHENTICATION, 8, "")) == len(slowed)


async def test_whoever_tries_many_names_is_slowed_down_too_and_learns_no_name(console: Served) -> None:
    async with browser(console.base) as thief:
        answers = [await thief.log_in(f"user{number}", WRONG) for number in range(25)]
        assert {one.status for one in answers} == {401, 429}
        assert "wrong name or password" in answers[0].text
        assert answers[-1].status == 429


async def test_a_viewer_sees_and_changes_nothing(console: Served) -> None:
    row = await console.store.write(lambda c: add_message(c, state="failed"))
    async with browser(console.base) as viewer, browser(console.base) as operator:
        await viewer.log_in("vera")
        await operator.log_in("otto")
        assert (await viewer.open(f"/messages/{row}")).status == 200
        refused = await viewer.press(f"/messages/{row}", f"/api/messages/{row}/replay")
        assert (refused.status, console.replayed) == (403, [])
        assert "this needs the role operator; yours is viewer" in refused.text
        done = await operator.press(f"/messages/{row}", f"/api/messages/{row}/replay")
        assert (done.status, console.replayed) == (303, [row])
        for path in ("/users", "/api/users", "/api/tokens"):
            page = await operator.open(path)
            assert (page.status, "needs the role admin" in page.text) == (403, True), path
        assert (await operator.press("/system", "/api/reload")).status == 403


async def test_after_logout_the_cookie_opens_nothing(console: Served) -> None:
    async with browser(console.base) as someone:
        cookie = (await someone.log_in("otto")).headers["Set-Cookie"].split(";")[0]
        assert (await someone.open("/api/orders")).status == 200
        out = await someone.press("/", "/logout")
        assert (out.status, out.place) == (303, "/login")
        assert (await someone.open("/")).place == "/login?back=/"
    async with browser(console.base) as thief:
        assert (await thief.open("/api/orders", Cookie=cookie, Accept="*/*")).status == 401
    assert (AuditType.LOGOUT, 0, "otto") in await _events(console)


async def test_a_stream_ends_with_its_session(console: Served) -> None:
    async with browser(console.base) as someone:
        await someone.log_in("vera")
        async with someone.session.get(f"{console.base}/events") as stream:
            assert await stream.content.readline()
            await someone.press("/", "/logout")
            await console.store.write(add_message)
            async with asyncio.timeout(120):
                await stream.content.read()


async def test_a_form_without_the_token_of_its_session_is_refused(console: Served) -> None:
    row = await console.store.write(lambda c: add_message(c, state="failed"))
    address = f"/api/messages/{row}/replay"
    async with browser(console.base) as someone, browser(console.base) as other:
        await someone.log_in("otto")
        await other.log_in("ada")
        foreign = (await other.open("/")).csrf
        for token in ("", "x", foreign):
            assert (await someone.post(address, {"csrf": token})).status == 403, token
        assert (await someone.post(address, {"csrf": foreign}, Origin="http://evil.example")).status == 403
        assert console.replayed == []
        own = (await someone.open("/")).csrf
        assert (await someone.post(address, {}, **{"X-CSRF-Token": own})).status == 303
        refused = await someone.post("/login", {"name": "otto", "password": PASSWORD}, Origin="http://evil.example")
        assert refused.status == 403


@pytest.mark.parametrize(
    ("rest", "status"), [([29, 29, 29], 200), ([31], 303), ([20] * 35, 200), ([20] * 36, 303)], ids=str
)
async def test_a_session_ends_when_it_rests_or_lasts_too_long(console: Served, rest: list[int], status: int) -> None:
    async with browser(console.base) as someone:
        await someone.log_in("vera")
        for minutes in rest:
            console.now += minutes * 60 * SECOND
            page = await someone.open("/account")
        assert page.status == status


@pytest.mark.parametrize("change", ["role", "disable", "password"])
async def test_sessions_end_with_a_change_of_role_or_password(console: Served, change: str) -> None:
    async with browser(console.base) as someone, browser(console.base) as admin:
        await someone.log_in("otto")
        await admin.log_in("ada")
        if change == "password":
            other = "quite another password"
            changed = await someone.press("/account", "/account", {"former": PASSWORD, "password": other})
            assert changed.status == 303
            assert (await someone.open("/")).status == 200, "of the new session"
            assert (await someone.log_in("otto", PASSWORD)).status == 401
            return
        fields = {"role": "viewer"} if change == "role" else {}
        assert (await admin.press("/users", f"/api/users/otto/{change}", {"back": "/users", **fields})).status == 303
        assert (await someone.open("/")).status == 303
        assert (await someone.log_in("otto")).status == (303 if change == "role" else 401)


async def test_the_last_admin_stays(console: Served) -> None:
    async with browser(console.base) as admin:
        await admin.log_in("ada")
        for path, fields in (("disable", {}), ("role", {"role": "viewer"})):
            refused = await admin.press("/users", f"/api/users/ada/{path}", fields)
            assert (refused.status, "the last admin" in refused.text) == (409, True)
        assert (await admin.open("/")).status == 200


async def test_a_link_sets_a_password_once_and_within_a_day(console: Served) -> None:
    async with browser(console.base) as admin, browser(console.base) as someone:
        await admin.log_in("ada")
        made = await admin.press("/users", "/users/new", {"name": "Nora", "role": "operator"})
        assert made.status == 200
        link = made.text.partition("/password?link=")[2].split("<")[0].split('"')[0]
        assert (await someone.open(f"/password?link={link}")).status == 200
        for weak in ("short", "aaaaaaaaaaaa", "n" * 2000):
            assert (await someone.post("/password", {"link": link, "password": weak})).status == 400
        assert (await someone.post(f"/password?link={link}", {"password": PASSWORD})).status == 400, "not in addresses"
        assert (await someone.post("/password", {"link": link, "password": PASSWORD})).status == 303
        assert "nora</a>" in (await someone.open("/")).text
        assert (await someone.post("/password", {"link": link, "password": PASSWORD})).status == 401
        again = await admin.press("/users", "/users/link", {"name": "nora"})
        link = again.text.partition("/password?link=")[2].split("<")[0].split('"')[0]
        console.now += 25 * HOUR
        assert (await someone.open(f"/password?link={link}")).status == 401


async def test_api_tokens_have_a_role_an_end_and_can_be_revoked(console: Served) -> None:
    async with browser(console.base) as admin:
        await admin.log_in("ada")
        made = await admin.press("/users", "/users/token", {"name": "monitor", "role": "viewer", "days": "1"})
        secret = "igw_" + made.text.partition("igw_")[2][:43]
        bearer = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
        assert (await console.get("/api/orders", headers=bearer))[0] == 200
        status, refused = await console.post("/api/messages/1/replay", headers=bearer)
        assert (status, refused["error"]["message"]) == (403, "this needs the role operator; yours is viewer")
        page = await admin.open("/users")
        assert secret not in page.text, "it is shown once"
        console.now += 25 * HOUR
        assert (await console.get("/api/orders", headers=bearer))[0] == 401
        make = partial(tokens.make, role=Role.ADMIN, scanner="", days=None, person=OWNER, now=console.now)
        other = await console.store.write(partial(make, name="script"))
        bearer = {"Authorization": f"Bearer {other.token}"}
        assert (await console.get("/api/users", headers=bearer))[0] == 200
        await console.store.write(partial(tokens.revoke, name="script", person=OWNER, now=console.now))
        assert (await console.get("/api/users", headers=bearer))[0] == 401


async def test_a_proven_name_is_kept_whatever_the_request_states(console: Served) -> None:
    row = await console.store.write(lambda c: add_message(c, state="failed"))
    async with browser(console.base) as someone:
        await someone.log_in("otto")
        fields = {"note": "seen", "person": "ada"}
        assert (await someone.press("/", f"/api/messages/{row}/put-away", fields)).status == 303
        shown = await someone.open(f"/api/messages/{row}", Accept="application/json")
        assert '"put_away_by":"otto"' in shown.text


async def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(console: Served) -> None:
    make = partial(tokens.make, role=Role.VIEWER, scanner="", days=None, person=OWNER, now=console.now)
    names = ("monitor", "new")
    right, first = [
        {"Authorization": f"Bearer {(await console.store.write(partial(make, name=name))).token}"} for name in names
    ]
    assert (await console.get("/api/orders", headers=right))[0] == 200
    statuses = [(await console.get("/api/orders", headers={"Authorization": f"Bearer {n}"}))[0] for n in range(40)]
    assert statuses[:20] == [401] * 20
    assert statuses.count(429) >= 10
    assert (await console.get("/api/orders", headers=right))[0] == 200
    assert (await console.get("/api/orders", headers=first))[0] == 200, "that never came before"


async def test_without_users_nobody_is_asked_and_with_one_everybody(sqlite_url: str) -> None:
    async with served(sqlite_url) as console, browser(console.base) as someone:
        assert (await someone.open("/")).status == 200
        assert (await someone.open("/users")).status == 200
        await console.store.write(partial(users.add, name="ada", role=Role.ADMIN, person=OWNER, now=console.now))
        await _noticed(console)
        assert (await someone.open("/")).place == "/login?back=/"
