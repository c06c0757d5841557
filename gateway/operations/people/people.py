"""Logins to a gateway that serves: passwords, sessions and tokens, each checked against the database."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.clock import elapsed as monotonic_clock
from gateway.errors import Unavailable
from gateway.observe import metrics
from gateway.operations.people import events
from gateway.operations.people.passwords import Passwords, is_outdated
from gateway.operations.people.refusals import TooManyTries, WrongSecret
from gateway.operations.people.throttle import Throttle
from gateway.records.api_token import ApiToken
from gateway.records.audit import AuditEvent
from gateway.records.person import Login, Person
from gateway.records.secret import digest_of, new_secret
from gateway.records.session import NOTED_AFTER, Session, SessionLimits
from gateway.records.user import User, check_password
from gateway.store import Store, api_tokens, sessions, users

log = logging.getLogger(__name__)

T = TypeVar("T")
MOST_REMEMBERED: Final = 1000
LOOK_MICROS: Final = 2_000_000
"""How old the answer that there are no users may be."""


class People:
    """`elapsed`: by which tries are counted. While the database is away, whoever was let in before stays in."""

    def __init__(
        self, store: Store, clock: Clock, limits: SessionLimits | None = None, elapsed: Clock = monotonic_clock
    ) -> None:
        self.throttle = Throttle(elapsed)
        self.limits = limits or SessionLimits()
        self.passwords = Passwords()
        self._store = store
        self._clock = clock
        self._sessions: _Remembered[Session] = _Remembered()
        self._tokens: _Remembered[ApiToken] = _Remembered()
        self._has_users: bool | None = None
        """None: not looked at yet. Users are disabled, never deleted: once there are some, there are."""
        self._looked_at = 0
        self._look: asyncio.Task[None] | None = None

    async def has_users(self) -> bool:
        """Whether there are users, so that a login is asked for: as it was a moment ago, and looked at again meanwhile,
        so that no request waits for a database which hangs. Raises `Unavailable` the first time."""
        if self._has_users is None:
            await self._look_for_users()
        elif not self._has_users and not 0 <= self._clock() - self._looked_at < LOOK_MICROS and self._look is None:
            self._look = asyncio.create_task(self._look_for_users(), name="users")
            self._look.add_done_callback(self._looked)
        return bool(self._has_users)

    async def _look_for_users(self) -> None:
        self._looked_at = self._clock()
        self._has_users = bool(self._has_users) or await self._store.read(users.any_exists)

    def _looked(self, look: asyncio.Task[None]) -> None:
        self._look = None
        if not look.cancelled() and look.exception() is not None:
            log.warning("whether there are users cannot be read: %s", type(look.exception()).__name__)

    async def log_in(self, name: str, password: str, address: str) -> str:
        """Begin a session; the secret that the browser keeps. Raises `WrongSecret`, `TooManyTries`, `Unavailable`."""
        account = name.strip().lower()[:64]
        if wait := self.throttle.take(account, address):
            await self._throttled(Login.PASSWORD, address)
            raise TooManyTries(wait)
        user = await self._store.read(lambda connection: users.find(connection, account))
        usable = user is not None and user.is_enabled and user.login is Login.PASSWORD
        password_hash = user.password_hash if user is not None and usable else ""
        if not await self.passwords.is_right(password_hash, password) or user is None:
            await self._refused(Login.PASSWORD, account if user else "", address)
            raise WrongSecret("wrong name or password")
        self.throttle.give_back(account, address)
        renewed = await self.passwords.hashed(password) if is_outdated(password_hash) else ""
        return await self._begin(partial(_still, user, renewed), Login.PASSWORD, address)

    async def begin(self, find: Callable[[Connection], User], address: str, *, id_token: str) -> str:
        """Begin a session of a user whom the identity provider has let in. Raises what `find` raises."""
        return await self._begin(find, Login.OIDC, address, id_token)

    async def set_password(self, link: str, password: str, address: str) -> str:
        """Set the password of a link's user, end that user's sessions and begin another one: its secret.

        Raises `WrongSecret` for a link that opens nothing, `InvalidValue` for a password that can be guessed.
        """
        user = await self.of_link(link, address)
        check_password(password, user.name)
        password_hash = await self.passwords.hashed(password)
        return await self._begin(
            partial(_by_link, digest_of(link), password_hash, self._clock()), Login.PASSWORD, address
        )

    async def of_link(self, link: str, address: str) -> User:
        """Whose password a link sets. Raises `WrongSecret`, `TooManyTries`."""
        await self.check_tries(address)
        now = self._clock()
        user = await self._store.read(lambda connection: users.of_link(connection, digest_of(link), now))
        if user is None:
            await self.refused_token(address)
            raise WrongSecret("this link was used, has expired or never was; ask an admin for another one")
        return user

    async def change_password(self, session: Session, former: str, latter: str, address: str) -> str:
        """Another password for the user of a session, in place of `former`; the secret of a new session.

        Raises as `log_in`, and `InvalidValue` for a password that can be guessed.
        """
        check_password(latter, session.name)
        await self.log_in(session.name, former, address)
        password_hash = await self.passwords.hashed(latter)

        def unit(connection: Connection) -> User:
            user = users.get(connection, session.name)
            users.set_password(connection, user.row, password_hash)
            return user

        return await self._begin(unit, Login.PASSWORD, address)

    async def session_of(self, secret: str, *, is_used: bool = True) -> Session | None:
        """The session of a secret; None: there is none, it is over, or its user is disabled.

        `is_used`: somebody asks for something; a page that is only left open lets its session rest.
        """
        digest, now = digest_of(secret), self._clock()
        try:
            session = await self._store.read(lambda connection: sessions.find(connection, digest))
        except Unavailable:
            session = self._sessions.get(digest)
        self._sessions.keep(digest, session)
        if session is None or session.is_over(self.limits, now):
            return None
        if is_used and now - session.seen_at > NOTED_AFTER:
            # A disk that is full keeps nobody out.
            with suppress(Unavailable):
                await self._store.write(lambda connection: sessions.note(connection, digest, now))
        return session

    async def log_out(self, secret: str, person: Person) -> None:
        """End a session."""
        digest, now = digest_of(secret), self._clock()

        def unit(connection: Connection) -> None:
            sessions.end(connection, digest)
            events.record(connection, events.logout(person, now))

        await self._store.write(unit)
        self._sessions.keep(digest, None)

    async def token_of(self, secret: str) -> ApiToken | None:
        """The API token of a secret, if it counts."""
        digest, now = digest_of(secret), self._clock()
        try:
            token = await self._store.read(lambda connection: api_tokens.find(connection, digest))
        except Unavailable:
            token = self._tokens.get(digest)
        self._tokens.keep(digest, token)
        if token is not None and token.counts(now) and now - (token.last_used_at or 0) > NOTED_AFTER:
            row = token.row
            with suppress(Unavailable):
                await self._store.write(lambda connection: api_tokens.note_use(connection, row, now))
        return token if token is not None and token.counts(now) else None

    async def check_tries(self, address: str) -> None:
        """Raises `TooManyTries` where too many wrong tokens came from an address just now."""
        if wait := self.throttle.wait_for_token(address):
            await self._throttled(Login.TOKEN, address)
            raise TooManyTries(wait)

    async def refused_token(self, address: str) -> None:
        """Count a token or link that opens nothing. Raises `TooManyTries` where there were too many of an address."""
        await self._count(Login.TOKEN, address)

    async def refused_by_provider(self, address: str) -> None:
        """Count a login at the identity provider that came to nothing. Raises as `refused_token`."""
        await self._count(Login.OIDC, address)

    async def _count(self, login: Login, address: str) -> None:
        if wait := self.throttle.take_token(address):
            await self._throttled(login, address)
            raise TooManyTries(wait)
        await self._refused(login, "", address)

    async def _refused(self, login: Login, account: str, address: str) -> None:
        metrics.LOGINS.labels(login, "wrong").inc()
        log.warning("login refused (%s): %s from %s", login, account or "unknown", address)
        await self._record(events.refused(login, account, address, self._clock()))

    async def _throttled(self, login: Login, address: str) -> None:
        """Counted each time; written down once for each address until it has been quiet."""
        metrics.LOGINS.labels(login, "throttled").inc()
        if self.throttle.is_first_of(login, address):
            log.warning("logins are slowed down (%s): too many wrong tries from %s", login, address)
            await self._record(events.throttled(login, address, self._clock()))

    async def _record(self, event: AuditEvent) -> None:
        try:
            await self._store.write(lambda connection: events.record(connection, event))
        except Unavailable:
            log.warning("not in the audit trail, the database is away: %s", event.kind)

    async def _begin(self, find: Callable[[Connection], User], login: Login, address: str, id_token: str = "") -> str:
        secret, now = new_secret(), self._clock()

        def unit(connection: Connection) -> User:
            user = find(connection)
            users.note_login(connection, user.row, now)
            oldest = now - self.limits.absolute
            sessions.add(connection, user.row, digest_of(secret), id_token=id_token, forget_before=oldest, now=now)
            events.record(connection, events.login(Person(user.name, user.role, address, login), now))
            return user

        user = await self._store.write(unit)
        self._has_users = True
        metrics.LOGINS.labels(login, "done").inc()
        log.info("login (%s): %s from %s", login, user.name, address)
        return secret

    def close(self) -> None:
        """End the thread of the passwords, and a look that is under way."""
        if self._look is not None:
            self._look.cancel()
        self.passwords.close()


class _Remembered(OrderedDict[bytes, T]):
    """The newest answers of the database, for while it is away."""

    def keep(self, digest: bytes, value: T | None) -> None:
        self.pop(digest, None)
        if value is not None:
            self[digest] = value
            if len(self) > MOST_REMEMBERED:
                self.popitem(last=False)


def _still(seen: User, renewed: str, connection: Connection) -> User:
    """The user as it was when its password was checked. Raises `WrongSecret` if it was changed meanwhile."""
    user = users.find(connection, seen.name)
    if user is None or not user.is_enabled or user.password_hash != seen.password_hash:
        raise WrongSecret("wrong name or password")
    if renewed:
        users.renew_hash(connection, user.row, user.password_hash, renewed)
    return user


def _by_link(link: bytes, password_hash: str, now: int, connection: Connection) -> User:
    user = users.use_link(connection, link, now)
    if user is None:
        raise WrongSecret("this link was used meanwhile")
    users.set_password(connection, user.row, password_hash)
    return user
