"""Codes that no table had are counted by day; a week of them, so many a day."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
from sqlalchemy import Connection

from gateway.mapping.language import missing
from gateway.mapping.language.rows import Codes
from gateway.records.missing_code import MissingCode
from gateway.store import Store, unknown_codes
from gateway.store.unknown_codes import DAY, UnknownCode
from tests.store.test_keys import deadlocks

QQ, XX = MissingCode("modality", "QQ"), MissingCode("sex", "XX")


async def listed(store: Store, now: int) -> list[UnknownCode]:
    return await store.read(partial(unknown_codes.listing, now=now))


async def test_codes_are_counted_over_the_days_of_a_week(store: Store) -> None:
    for day, codes, message in ((10, {QQ, XX}, 1), (10, {QQ}, 2), (12, {QQ}, 3)):
        await store.write(partial(unknown_codes.count, missing=codes, now=day * DAY + message, message=message))
    assert await listed(store, 12 * DAY) == [
        UnknownCode("modality", "QQ", 3, 12 * DAY + 3, 3, ""), UnknownCode("sex", "XX", 1, 10 * DAY + 1, 1, ""),
    ]  # fmt: skip
    assert [one.count for one in await listed(store, 17 * DAY)] == [1]
    await store.write(partial(unknown_codes.count, missing={XX}, now=30 * DAY, study="1.2.3"))
    assert await listed(store, 30 * DAY) == [UnknownCode("sex", "XX", 1, 30 * DAY, None, "1.2.3")]


async def test_a_flood_of_codes_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_codes, "MOST_A_DAY", 25)
    for number in range(3):
        codes = {MissingCode("modality", f"{number}-{one:03}" + "x" * 100) for one in range(30)}
        await store.write(partial(unknown_codes.count, missing=codes, now=DAY))
    rows = await listed(store, DAY)
    assert len(rows) == 25
    assert max(len(row.code) for row in rows) == unknown_codes.LONGEST


def test_lookups_that_fail_are_collected_for_who_wants_them() -> None:
    codes = Codes("modality", {"CT": "CT"}, "empty")
    codes.translate("QQ")
    with missing.collected() as outer:
        codes.translate("CT")
        with missing.collected() as inner:
            codes.translate("QQ ")
        codes.translate("")
    assert (inner, outer) == ({QQ}, set())


async def test_batches_of_two_processes_with_the_same_codes_crosswise(shared_postgres: str) -> None:
    """Both have counted their first code before either counts the second; PostgreSQL counts no deadlock."""
    before = deadlocks(shared_postgres)
    async with AsyncExitStack() as stack:
        stores = [await Store.open(shared_postgres) for _ in range(2)]
        for store in stores:
            stack.push_async_callback(store.close)
        await stores[0].write(partial(unknown_codes.count, missing={QQ, XX}, now=DAY))
        both = threading.Barrier(2)

        def batch(*codes: MissingCode) -> Callable[[Connection], None]:
            first_run = [True]

            def work(connection: Connection) -> None:
                unknown_codes.count(connection, {codes[0]}, now=DAY)
                if first_run:
                    first_run.clear()
                    both.wait(120)
                unknown_codes.count(connection, {codes[1]}, now=DAY)

            return work

        await asyncio.gather(stores[0].write(batch(QQ, XX)), stores[1].write(batch(XX, QQ)))
        assert [one.count for one in await listed(stores[0], DAY)] == [3, 3]
    assert deadlocks(shared_postgres) - before == 0
