"""A pooler between the gateway and PostgreSQL: settings go with each transaction, and what cannot work is named."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from gateway.errors import Unavailable
from gateway.store import Store, driver
from tests.peers.pgbouncer import pgbouncer
from tests.store.notes import kept, note

_NAMES = (
    "application_name", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout",
    "transaction_isolation", "transaction_read_only",
)  # fmt: skip


def _settings(connection: Connection) -> list[str]:
    return [str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in _NAMES]


@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
@pytest.mark.parametrize("ignored", ["extra_float_digits", "options"])
async def test_each_transaction_has_our_settings(shared_postgres: str, pool_mode: str, ignored: str) -> None:
    """PgBouncer refuses the parameter `options`, or is set to drop it."""
    with pgbouncer(shared_postgres, pool_mode=pool_mode, ignore_startup_parameters=ignored) as peer:
        url = f"{peer.url}&options=-c%20application_name%3Dradiology%5C%20CT"
        store = await Store.open(url, answer_seconds=60.0, job_seconds=600.0)
        theirs = ["10s", "50s", "1min", "repeatable read", "on"]
        assert await store.read(_settings) == ["radiology CT", *theirs]
        assert await store.read_long(_settings) == ["radiology CT", "10s", "500s", *theirs[2:]]
        written = await store.write(_settings)
        assert written == ["radiology CT", *theirs[:3], "read committed", "off"]
        for number in range(12):
            await store.write(note(str(number)))
        assert await kept(store) == [str(number) for number in range(12)], "no statement was prepared elsewhere"
        await store.close()


async def test_a_pool_of_statements_is_refused_with_the_cure(shared_postgres: str) -> None:
    with (
        pgbouncer(shared_postgres, pool_mode="statement") as peer,
        pytest.raises(Unavailable, match=r"database\.url pools single statements.*set pool_mode = transaction"),
    ):
        await Store.open(peer.url)


async def test_options_that_no_transaction_can_set_are_named(shared_postgres: str) -> None:
    with (
        pgbouncer(shared_postgres) as peer,
        pytest.raises(Unavailable, match=r"options of database\.url hold more than settings"),
    ):
        await Store.open(f"{peer.url}&options=-e")


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_a_statement_that_takes_too_long_is_ended_in_the_server(
    shared_postgres: str, is_pooled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what writes; not of a job, which has its own limit."""

    def slow(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(0.3)"))

    with pgbouncer(shared_postgres) as peer:
        url = peer.url if is_pooled else shared_postgres
        store = await Store.open(url, answer_seconds=60.0, job_seconds=60_000.0)
        # A tenth of a second is for what takes too long alone: all else may take its time on a busy machine.
        with monkeypatch.context() as shorter:
            shorter.setattr(driver, "_OF_SERVER", 1 / 600)
            for ask in (store.read, store.write):
                with pytest.raises(Unavailable, match=r"longer than database\.answer_seconds lets it: ask for less"):
                    await ask(slow)
            await store.read_long(slow)
        assert await store.write(note("after")) == "after"
        await store.close()
