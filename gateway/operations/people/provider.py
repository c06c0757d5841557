"""Logins at an identity provider: who comes back from there becomes a user, with the role that the provider gives."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Rejected
from gateway.operations.people.people import People
from gateway.operations.people.refusals import WrongSecret
from gateway.records.person import Login, Role
from gateway.records.secret import new_secret
from gateway.records.user import User
from gateway.store import users

if TYPE_CHECKING:
    from gateway.wire.oauth.openid import OpenIdProvider, Vouched

_BY: Final = "identity provider"
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9._@+-]+")
MakeProvider = Callable[[], "OpenIdProvider"]


@dataclass(frozen=True, slots=True)
class ProviderRules:
    """What the site says of its provider."""

    label: str
    """What the button says."""
    role_claim: str
    roles: Mapping[str, Role]
    """By the value of the claim."""
    name_claim: str


class ProviderLogins:
    """`make`: the provider, which is made at the first login (what checks its tokens takes a while to load)."""

    def __init__(self, rules: ProviderRules, make: MakeProvider, people: People, clock: Clock) -> None:
        self.label = rules.label
        self._rules = rules
        self._make = make
        self._people = people
        self._clock = clock
        self._provider: OpenIdProvider | None = None

    async def begin(self, redirect_uri: str, to: str) -> tuple[str, str]:
        """Where the browser goes to log in, and what it keeps until it comes back. Raises `Unavailable`, `Rejected`."""
        provider = await self._at_provider()
        from gateway.wire.oauth.openid import Flow

        flow = Flow(new_secret(), new_secret(), new_secret())
        kept = orjson.dumps([flow.state, flow.nonce, flow.verifier, to]).hex()
        return await provider.authorization_url(redirect_uri, flow), kept

    async def finish(self, answer: Mapping[str, str], kept: str, redirect_uri: str, address: str) -> tuple[str, str]:
        """Secret of a new session, and the page to go on to. Raises `WrongSecret`, `TooManyTries`, `Unavailable`."""
        # Whoever has no login can make up an answer and what the browser keeps: each asks the provider.
        await self._people.check_tries(address)
        state, nonce, verifier, to = _kept(kept)
        provider = await self._at_provider()
        from gateway.wire.oauth.openid import Flow

        try:
            vouched = await provider.vouched(answer, redirect_uri, Flow(state, nonce, verifier))
            role = self._role_of(vouched.claims)
        except Rejected as error:
            await self._people.refused_by_provider(address)
            raise WrongSecret(str(error)) from error
        find = partial(self._user, vouched, role)
        return await self._people.begin(find, address, id_token=vouched.id_token), str(to)

    async def logout_url(self, id_token: str, redirect_uri: str) -> str:
        """Where the browser logs out at the provider too; empty: nowhere. Raises `Unavailable`, `Rejected`."""
        return await (await self._at_provider()).logout_url(id_token, redirect_uri)

    async def _at_provider(self) -> OpenIdProvider:
        if self._provider is None:
            # Beside the loop: loading takes a third of a second.
            made = await asyncio.to_thread(self._make)
            self._provider = self._provider or made
        return self._provider

    def _role_of(self, claims: Mapping[str, Any]) -> Role:
        given = {
            self._rules.roles[value] for value in _values(claims, self._rules.role_claim) if value in self._rules.roles
        }
        for role in reversed(Role):
            if role in given:
                return role
        raise Rejected(f"gives no role of the gateway in {self._rules.role_claim}", place=_BY)

    def _user(self, vouched: Vouched, role: Role, connection: Connection) -> User:
        """The user of a subject, as the provider describes it now. Raises `WrongSecret` for one who is disabled."""
        subject = f"{vouched.claims['iss']}|{vouched.claims['sub']}"
        user = users.find_subject(connection, subject)
        if user is None:
            # Who logs in for the first time may do so in two windows at once.
            users.hold(connection)
            user = users.find_subject(connection, subject)
        if user is None:
            name = self._free_name(connection, vouched.claims)
            return users.add(
                connection, name, role, login=Login.OIDC, subject=subject, by=_BY, now=self._clock()
            )  # fmt: skip
        if not user.is_enabled:
            raise WrongSecret("this user is disabled here; ask an admin")
        return user if user.role is role else users.take_role(connection, user, role)

    def _free_name(self, connection: Connection, claims: Mapping[str, Any]) -> str:
        written = str(claims.get(self._rules.name_claim) or claims["sub"]).strip().lower()
        name = _NOT_IN_NAMES.sub("-", written).lstrip("._@+-")[:48] or "user"
        free = name
        number = 2
        # A user of the same name who has a password here is somebody else.
        while users.find(connection, free) is not None:
            free, number = f"{name}+{number}", number + 1
        return free


def _kept(written: str) -> list[str]:
    """What the browser kept of a login, as `begin` made it. Raises `WrongSecret`."""
    try:
        parts = orjson.loads(bytes.fromhex(written))
    except ValueError:
        parts = None
    if isinstance(parts, list) and len(parts) == 4 and all(isinstance(one, str) for one in parts):
        return parts
    raise WrongSecret("this login was begun in another browser, or too long ago; begin again")


def _values(claims: Mapping[str, Any], path: str) -> Iterator[str]:
    """The texts of a claim, or of a claim within a claim (`realm_access.roles`)."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield one
