"""Who may log in over HTTP: tokens of the configuration, users and API tokens of the database."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.assembly.tls import client_tls
from gateway.clock import Clock
from gateway.config.http import Oidc
from gateway.config.tree import Config
from gateway.operations.people.people import People
from gateway.operations.people.provider import ProviderLogins, ProviderRules
from gateway.operations.people.users import first_admin
from gateway.records.person import Role
from gateway.records.session import SessionLimits
from gateway.records.user import HOUR, MINUTE
from gateway.store import Store
from gateway.web.login import Door, Token

if TYPE_CHECKING:
    from gateway.wire.oauth.openid import OpenIdProvider

PROVIDER_SECONDS: Final = 10.0
"""How long an answer of the identity provider may take."""


@dataclass(slots=True)
class Tokens:
    """Tokens of the configuration."""

    console: Token
    facade: Token

    @classmethod
    def of(cls, config: Config) -> Tokens:
        """Those of the configuration."""
        return cls(Token(config.http.token), Token(config.facade.token or config.http.token))

    def renew(self, config: Config) -> None:
        """Ask for those of `config` from now on."""
        self.console.value = config.http.token
        self.facade.value = config.facade.token or config.http.token


@dataclass(frozen=True, slots=True)
class Doors:
    """Who may log in over HTTP, and where."""

    people: People
    console: Door
    facade: Door

    @classmethod
    def of(cls, config: Config, store: Store, clock: Clock, tokens: Tokens, stack: AsyncExitStack) -> Doors:
        """Those of the configuration, and of the users and tokens of `store`."""
        http = config.http
        minutes, hours = http.session.idle_minutes, http.session.hours
        people = People(store, clock, SessionLimits(round(minutes * MINUTE), round(hours * HOUR)))
        stack.callback(people.close)
        provider = provider_of(http.oidc, people, clock)
        open_door = partial(Door, people=people, always=http.is_open, proxies=http.behind_proxy, provider=provider)
        return cls(people, open_door(tokens.console), open_door(tokens.facade))


async def first_link(config: Config, store: Store, clock: Clock) -> str:
    """The path on which the first admin sets a password, where nobody could log in without it."""
    if not config.http.is_open or config.http.token or config.http.oidc:
        return ""
    link = await store.write(partial(first_admin, now=clock()))
    return link.link if link is not None else ""


def provider_of(oidc: Oidc | None, people: People, clock: Clock) -> ProviderLogins | None:
    """Logins at the identity provider of the configuration. Raises `ConfigError` for a file that cannot be used."""
    if oidc is None:
        return None
    tls = client_tls(oidc.tls, "http.oidc")

    def make() -> OpenIdProvider:
        from gateway.wire.http import Connect
        from gateway.wire.oauth.openid import OpenIdProvider

        connect = Connect(PROVIDER_SECONDS, tls)
        return OpenIdProvider(oidc.issuer, oidc.client_id, oidc.client_secret, scopes=oidc.scopes, connect=connect)

    roles = {value: Role(role) for value, role in oidc.roles.items()}
    return ProviderLogins(ProviderRules(oidc.label, oidc.role_claim, roles, oidc.name_claim), make, people, clock)
