"""Two gateways on one PostgreSQL: what one does about users, the other waits for and sees."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from sqlalchemy import Connection, Engine

from gateway.operations.people.people import People
from gateway.operations.people.provider import ProviderLogins, ProviderRules
from gateway.operations.people.users import first_admin
from gateway.records.person import Role
from gateway.records.secret import digest_of
from gateway.store import Store, users
from gateway.store.engine import open_engine
from gateway.wire.oauth.openid import OpenIdProvider, Vouched
from tests.journey.test_two_gateways import _until_somebody_waits_for_a_lock as until_somebody_waits

T = TypeVar("T")
NOW = 1_900_000_000_000_000


@pytest.fixture
def engine(shared_postgres: str) -> Iterator[Engine]:
    opened = open_engine(shared_postgres)
    yield opened
    opened.dispose()


def _at_once(engine: Engine, unit: Callable[[Connection], T]) -> list[T]:
    """What two transactions give that do the same at the same moment."""
    answers: list[T] = []

    def second() -> None:
        with engine.begin() as connection:
            answers.append(unit(connection))

    other = threading.Thread(target=second)
    with engine.begin() as connection:
        answers.append(unit(connection))
        other.start()
        until_somebody_waits(engine)
    other.join()
    return answers


def test_two_first_starts_make_one_admin(engine: Engine) -> None:
    links = _at_once(engine, lambda connection: first_admin(connection, now=NOW))
    assert [link.name for link in links if link is not None] == ["admin", "admin"]
    with engine.begin() as connection:
        assert [user.name for user in users.listing(connection)] == ["admin"]
        opening = [
            users.of_link(connection, digest_of(str(link.link).partition("=")[2]), NOW) is not None
            for link in links
            if link is not None
        ]
        assert opening == [False, True], "the newest link counts"


def test_a_link_opens_once_whoever_is_first(engine: Engine) -> None:
    with engine.begin() as connection:
        made = first_admin(connection, now=NOW)
    assert made is not None
    digest = digest_of(str(made.link).partition("=")[2])
    opened = _at_once(engine, lambda connection: users.use_link(connection, digest, NOW))
    assert [one is not None for one in opened] == [True, False]


async def test_who_logs_in_at_the_provider_twice_at_once_is_one_user(shared_postgres: str) -> None:
    store = await Store.open(shared_postgres)
    people = People(store, lambda: NOW)
    rules = ProviderRules("", "roles", {}, "name")
    logins = ProviderLogins(rules, lambda: OpenIdProvider("", "", None), people, lambda: NOW)
    vouched = Vouched({"iss": "https://idp.example", "sub": "s1", "name": "Ada"}, "")
    try:
        made = await asyncio.to_thread(
            _at_once, store.engine, lambda connection: logins._user(vouched, Role.VIEWER, connection)
        )
    finally:
        people.close()
        await store.close()
    assert [user.name for user in made] == ["ada", "ada"]
    assert made[0].row == made[1].row
