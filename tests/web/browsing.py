"""A browser of a user of the console: cookies, forms of pages, and no scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from aiohttp import ClientSession, CookieJar
from argon2 import PasswordHasher

from gateway.operations.people import passwords, users
from gateway.records.person import Login, Person, Role
from gateway.store import Store
from gateway.store import users as rows

PASSWORD = "correct horse battery"
OWNER = Person("tests", Role.ADMIN, "", Login.COMMAND)


@dataclass
class Page:
    """An answer; `place` is where a redirection leads to."""

    status: int
    text: str
    place: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def csrf(self) -> str:
        """The token of the forms on the page; empty: they have none."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        return found[1] if found else ""


@dataclass
class Browser:
    session: ClientSession
    base: str

    async def open(self, path: str, **headers: str) -> Page:
        """What a page answers; redirections are not followed."""
        return await self.ask("GET", path, None, {"Accept": "text/html"} | headers)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        """Send a form as a browser does."""
        return await self.ask("POST", path, fields, {"Accept": "text/html", "Origin": self.base} | headers)

    async def press(self, page: str, path: str, fields: dict[str, str] | None = None) -> Page:
        """Load a page and send one of its forms."""
        shown = await self.open(page)
        return await self.post(path, {"csrf": shown.csrf, **(fields or {})})

    async def ask(self, method: str, path: str, fields: dict[str, str] | None, headers: dict[str, str]) -> Page:
        async with self.session.request(
            method, self.base + path, data=fields, headers=headers, allow_redirects=False
        ) as answer:
            text = await answer.text()
            return Page(answer.status, text, answer.headers.get("Location", ""), dict(answer.headers))

    async def log_in(self, name: str, password: str = PASSWORD) -> Page:
        return await self.post("/login", {"name": name, "password": password, "to": "/"})


@asynccontextmanager
async def browser(base: str) -> AsyncIterator[Browser]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield Browser(session, base)


async def add_user(store: Store, name: str, role: Role, *, now: int) -> None:
    """A user with the password `PASSWORD`."""
    await store.write(partial(users.add, name=name, role=role, person=OWNER, now=now))
    await store.write(lambda connection: rows.set_password(connection, rows.get(connection, name).row, _HASH))


passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)  # type: ignore[misc]
"""Quick: the gateway lets a password take 30 ms of a core by intention."""
_HASH = passwords.hashed(PASSWORD)
