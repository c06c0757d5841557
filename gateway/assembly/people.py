"""Who may log in over HTTP: tokens of the configuration, users and API tokens of the database."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.operations.people.people import People
from gateway.operations.people.users import first_admin
from gateway.records.session import SessionLimits
from gateway.records.user import HOUR, MINUTE
from gateway.store import Store
from gateway.web.login import Door, Token


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
        open_door = partial(Door, people=people, always=http.is_open, proxies=http.behind_proxy)
        return cls(people, open_door(tokens.console), open_door(tokens.facade))


async def first_link(config: Config, store: Store, clock: Clock) -> str:
    """The path on which the first admin sets a password, where nobody could log in without it."""
    if not config.http.is_open or config.http.token or config.http.oidc:
        return ""
    link = await store.write(partial(first_admin, now=clock()))
    return link.link if link is not None else ""
