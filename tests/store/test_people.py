"""Users, sessions, links and API tokens on both databases."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from gateway.errors import Conflict, UnknownKey
from gateway.records.person import Login, Role
from gateway.records.secret import digest_of
from gateway.records.user import User
from gateway.store import Store, api_tokens, sessions, users

NOW = 1_767_603_600_000_000
DAY = 86_400 * 1_000_000


async def _add(store: Store, name: str, role: Role, **more: Any) -> User:
    add = partial(users.add, name=name, role=role, login=Login.PASSWORD, by="tests", now=NOW, **more)
    return await store.write(add)


async def test_a_session_lives_with_its_user(store: Store) -> None:
    assert not await store.read(users.any_exists)
    with pytest.raises(Conflict, match="the first user is an admin"):
        await _add(store, "otto", Role.OPERATOR)
    ada, otto = await _add(store, "ada", Role.ADMIN), await _add(store, "otto", Role.OPERATOR)
    with pytest.raises(Conflict, match="already"):
        await _add(store, "ada", Role.VIEWER)
    assert not await store.read(users.admin_can_log_in)
    await store.write(lambda c: users.set_password(c, ada.row, "hash"))
    assert await store.read(users.admin_can_log_in)
    for secret, user in (("a", ada), ("o", otto)):
        add = partial(sessions.add, user=user.row, digest=digest_of(secret), forget_before=0, now=NOW)
        await store.write(add)
    await store.write(lambda c: sessions.note(c, digest_of("a"), NOW + 5))
    session = await store.read(lambda c: sessions.find(c, digest_of("a")))
    assert session is not None
    assert (session.name, session.role, session.seen_at) == ("ada", Role.ADMIN, NOW + 5)
    changed = await store.write(lambda c: users.set_role(c, "otto", Role.VIEWER))
    assert changed.role is Role.VIEWER
    assert await store.read(lambda c: sessions.find(c, digest_of("o"))) is None
    for change in (
        partial(users.set_role, name="ada", role=Role.VIEWER),
        partial(users.set_enabled, name="ada", enabled=False),
    ):
        with pytest.raises(Conflict, match="the last admin"):
            await store.write(change)
    assert [one.name for one in await store.read(users.listing)] == ["ada", "otto"]
    with pytest.raises(UnknownKey):
        await store.write(lambda c: users.set_enabled(c, "nobody", enabled=False))


async def test_of_two_last_admins_one_stays_whoever_is_quicker(store: Store) -> None:
    await _add(store, "ada", Role.ADMIN)
    await _add(store, "eva", Role.ADMIN)
    changes = [store.write(partial(users.set_enabled, name=name, enabled=False)) for name in ("ada", "eva")]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in outcomes) == 1


async def test_a_link_is_of_one_user_once(store: Store) -> None:
    ada = await _add(store, "ada", Role.ADMIN)
    for secret in ("first", "second"):
        await store.write(partial(users.add_link, user=ada.row, digest=digest_of(secret), expires_at=NOW + DAY))
    assert await store.read(lambda c: users.of_link(c, digest_of("first"), NOW)) is None
    found = await store.read(lambda c: users.of_link(c, digest_of("second"), NOW))
    assert found is not None
    assert await store.read(lambda c: users.of_link(c, digest_of("second"), NOW + DAY)) is None
    await store.write(lambda c: users.set_password(c, ada.row, "hash"))
    assert await store.read(lambda c: users.of_link(c, digest_of("second"), NOW)) is None


async def test_a_name_of_a_token_is_free_again_when_the_token_counts_no_more(store: Store) -> None:
    add = partial(api_tokens.add, name="ct1", role=None, ae_title="CT1", expires_at=NOW + DAY, by="tests")
    token = await store.write(partial(add, digest=digest_of("a"), now=NOW))
    assert (token.ae_title, token.role, token.counts(NOW), token.counts(NOW + DAY)) == ("CT1", None, True, False)
    with pytest.raises(Conflict):
        await store.write(partial(add, digest=digest_of("b"), now=NOW))
    await store.write(lambda c: api_tokens.note_use(c, token.row, NOW + 1))
    await store.write(lambda c: api_tokens.revoke(c, "ct1", NOW + 2))
    with pytest.raises(Conflict):
        await store.write(lambda c: api_tokens.revoke(c, "ct1", NOW + 3))
    assert [one.last_used_at for one in await store.read(api_tokens.listing)] == [NOW + 1]
    await store.write(partial(add, digest=digest_of("b"), now=NOW + 4))
    assert await store.read(lambda c: api_tokens.find(c, digest_of("a"))) is None
