"""The group-commit writer: results follow commits, one fault takes back one unit, an outage ends nothing."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from gateway.errors import InvalidValue, Unavailable
from gateway.records.work import SETTLE
from gateway.store import Store, writer
from gateway.store.engine import lock
from gateway.store.writer import ANY, Due, announce
from tests.conftest import until
from tests.store.notes import kept, note, noted

SECONDS = 120.0


class Commits:
    """Counts the commits of a store and can hold one back."""

    def __init__(self, store: Store) -> None:
        self.number = 0
        self.reached = threading.Event()
        self.go = threading.Event()
        self.go.set()
        event.listen(store.engine, "commit", self._commit)

    def _commit(self, _connection: Connection) -> None:
        self.number += 1
        self.reached.set()
        assert self.go.wait(SECONDS)

    @contextmanager
    def held(self) -> Iterator[None]:
        self.reached.clear()
        self.go.clear()
        try:
            yield
        finally:
            self.go.set()


async def test_a_result_follows_the_commit(store: Store) -> None:
    commits = Commits(store)
    with commits.held():
        writing = asyncio.create_task(store.write(note("one")))
        await until(commits.reached.is_set, what="the commit")
        assert await kept(store) == []
        assert not writing.done()
    assert await writing == "one"
    assert await kept(store) == ["one"]


async def test_units_that_wait_share_one_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_BATCH", 100)
    commits = Commits(store)
    with commits.held():
        first = asyncio.create_task(store.write(note("first")))
        await until(commits.reached.is_set, what="the commit")
        others = [asyncio.create_task(store.write(note(str(number)))) for number in range(100)]
        await asyncio.sleep(0)
    assert await asyncio.gather(first, *others) == ["first", *map(str, range(100))]
    assert commits.number == 2
    assert await kept(store) == ["first", *map(str, range(100))], "in the order in which they were given"


@pytest.mark.parametrize("size", [1, 2, 17, 256])
async def test_a_batch_is_of_what_waits_and_has_an_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(writer, "MAX_BATCH", size)
    commits = Commits(store)
    units, sizes = itertools.count(), []
    event.listen(store.engine, "commit", lambda _connection: sizes.append(next(units)))
    with commits.held():
        first = asyncio.create_task(store.write(lambda _connection: next(units)))
        await until(commits.reached.is_set, what="the commit")
        others = [asyncio.create_task(store.write(lambda _connection: next(units))) for _ in range(2 * size + 1)]
        await asyncio.sleep(0)
    await asyncio.gather(first, *others)
    # Each commit draws a number too.
    assert [after - before - 1 for before, after in pairwise([-1, *sizes])] == [1, size, size, 1]


def _refused(connection: Connection) -> None:
    note("taken back")(connection)
    raise InvalidValue("no", place="PID-3")


def _broken_statement(connection: Connection) -> None:
    note("taken back")(connection)
    connection.execute(text("SELECT no_such_column FROM refusals"))


def _swallows_its_error(connection: Connection) -> None:
    note("swallowed")(connection)
    try:
        connection.execute(text("INSERT INTO refusals (id) VALUES (NULL)"))
    except Exception:
        return


def _stops(_connection: Connection) -> None:
    raise StopIteration


def _exits(_connection: Connection) -> None:
    raise SystemExit(3)


async def test_a_unit_that_fails_takes_back_only_itself(store: Store) -> None:
    commits = Commits(store)
    with commits.held():
        first = asyncio.create_task(store.write(note("first")))
        await until(commits.reached.is_set, what="the commit")
        bad: list[Callable[[Connection], Any]] = [_refused, _broken_statement, _stops, lambda _c: 1 / 0]
        batch = []
        for number, unit in enumerate(bad):
            batch += [store.write(unit), store.write(note(str(number)))]
        gathered = asyncio.gather(first, *batch, return_exceptions=True)
        await asyncio.sleep(0)
    results = await gathered
    assert [str(type(one).__name__) for one in results[1::2]] == [
        "InvalidValue",
        "OperationalError" if store.engine.dialect.name == "sqlite" else "ProgrammingError",
        "RuntimeError",
        "ZeroDivisionError",
    ]
    assert str(results[1]) == "PID-3: no"
    assert results[2::2] == ["0", "1", "2", "3"]
    assert commits.number == 2
    assert await kept(store) == ["first", "0", "1", "2", "3"]


async def test_a_unit_that_exits_does_not_end_the_writer(store: Store) -> None:
    # Not through a task: asyncio lets SystemExit out of the loop.
    writing = store._writer.write(_exits)
    with pytest.raises(SystemExit):
        await writing
    assert await store.write(note("after")) == "after"


async def test_a_unit_that_swallows_the_databases_error_harms_nobody_else(store: Store) -> None:
    commits = Commits(store)
    with commits.held():
        first = asyncio.create_task(store.write(note("first")))
        await until(commits.reached.is_set, what="the commit")
        gathered = asyncio.gather(
            store.write(note("before")), store.write(_swallows_its_error), store.write(note("after")),
            return_exceptions=True,
        )  # fmt: skip
        await asyncio.sleep(0)
    await first
    before, swallowed, after = await gathered
    assert (before, after) == ("before", "after")
    if store.engine.dialect.name == "postgresql":  # which does not go on after an error; SQLite does
        assert isinstance(swallowed, Exception)
        assert await kept(store) == ["first", "before", "after"]


async def test_listeners_are_told_after_a_commit_that_announced_work(store: Store) -> None:
    announced: list[Due] = []
    store.on_due(announced.append)
    await store.write(note("nothing is due"))
    assert announced == []
    await store.write(announce)
    await store.write(lambda connection: announce(connection, SETTLE))
    assert announced == [{ANY}, {SETTLE}]


async def test_a_caller_that_stops_waiting_breaks_nobody(store: Store) -> None:
    commits = Commits(store)
    with commits.held():
        first = asyncio.create_task(store.write(note("first")))
        await until(commits.reached.is_set, what="the commit")
        tasks = [asyncio.create_task(store.write(note(str(number)))) for number in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        tasks[1].cancel()
        await asyncio.sleep(0)
    assert [await tasks[0], await tasks[2]] == ["0", "2"]
    assert await kept(store) == ["first", "0", "1", "2"], "its unit is done all the same"


def be_patient(store: Store) -> None:
    """Wait for the database from now on as long as a busy machine may take."""
    assert store._writer._limit is not None
    store._answer_seconds = store._writer._limit._seconds = SECONDS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_callers_do_not_wait_for_a_database_that_hangs(database_url: str) -> None:
    """Neither for a read nor for a write; a write may still be done later."""
    goes_on = threading.Event()
    store = await Store.open(database_url, answer_seconds=1.0)

    def hanging(connection: Connection) -> bool:
        note("late")(connection)
        return goes_on.wait(SECONDS)

    with pytest.raises(Unavailable, match="has not answered"):
        await store.read(lambda _connection: goes_on.wait(SECONDS))
    with pytest.raises(Unavailable, match="has not answered"):
        await store.write(hanging)
    be_patient(store)
    goes_on.set()
    assert await store.write(note("next")) == "next"
    assert await kept(store) == ["late", "next"]
    await store.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_each_caller_waits_its_own_time(database_url: str) -> None:
    """One timer serves all: those that came later wait as long, and what was answered is let go of."""
    store = await Store.open(database_url, answer_seconds=1.0)
    goes_on = threading.Event()
    clock = asyncio.get_running_loop().time
    # Nothing is written: a busy disk might take more than the time for an answer.
    assert [await store.write(lambda _connection: "answered") for _ in range(3)] == ["answered"] * 3

    async def waited(unit: Callable[[Connection], object]) -> float:
        began = clock()
        with pytest.raises(Unavailable, match="has not answered"):
            await store.write(unit)
        return clock() - began

    first = asyncio.create_task(waited(lambda _connection: goes_on.wait(SECONDS)))
    began = clock()
    await until(lambda: clock() - began > 0.1, what="a part of the time")
    second = asyncio.create_task(waited(note("second")))
    assert min(await first, await second) >= 1.0
    be_patient(store)
    goes_on.set()
    assert await store.write(note("next")) == "next"
    await store.close()


async def test_a_units_own_timeout_is_the_callers(store: Store) -> None:
    def failing(_connection: Connection) -> None:
        raise TimeoutError("of the unit")

    with pytest.raises(TimeoutError, match="of the unit"):
        await store.write(failing)


async def test_close_finishes_what_was_given(database_url: str) -> None:
    store = await Store.open(database_url)
    commits = Commits(store)
    with commits.held():
        first = asyncio.create_task(store.write(note("first")))
        await until(commits.reached.is_set, what="the commit")
        tasks = [asyncio.create_task(store.write(note(str(number)))) for number in range(20)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="closing"):
            await store.write(note("too late"))
        with pytest.raises(Unavailable, match="closing"):
            await store.read(noted)
    await closing
    assert await asyncio.gather(first, *tasks) == ["first", *map(str, range(20))]
    again = await Store.open(database_url)
    assert len(await kept(again)) == 21
    await again.close()


async def test_a_read_changes_nothing(store: Store) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only|query_only"):
        await store.read(note("no"))
    await store.write(note("a write on the same connections"))
    assert await kept(store) == ["a write on the same connections"]


async def test_a_read_sees_one_moment(store: Store) -> None:
    between, written = threading.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        before = noted(connection)
        between.set()
        assert written.wait(SECONDS)
        return before, noted(connection)

    reading = asyncio.create_task(store.read(twice))
    await until(between.is_set)
    await store.write(note("meanwhile"))
    written.set()
    assert await reading == ([], [])


async def test_a_commit_is_on_disk(store: Store) -> None:
    if store.engine.dialect.name == "sqlite":

        def pragmas(connection: Connection) -> list[Any]:
            names = ("journal_mode", "synchronous", "foreign_keys")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        full = 2
        assert await store.write(pragmas) == ["wal", full, 1]
    else:

        def settings(connection: Connection) -> list[Any]:
            names = ("synchronous_commit", "fsync", "TimeZone", "idle_in_transaction_session_timeout")
            return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

        assert (await store.write(settings))[::2] == ["on", "UTC"]


async def test_errors_do_not_quote_values(store: Store) -> None:
    def wrong(connection: Connection) -> None:
        connection.execute(text("SELECT :name FROM no_such_table"), {"name": "Testperson^Tilda"})

    with pytest.raises(Exception, match="no_such_table") as caught:
        await store.write(wrong)
    assert "Tilda" not in str(caught.value)
    with pytest.raises(Exception, match="no_such_table") as caught:
        await store.read(wrong)
    assert "Tilda" not in str(caught.value)


# PostgreSQL: connections that die, keys that others hold


def _pid(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def _terminate(url: str, pid: int) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


@pytest.fixture
async def postgres(shared_postgres: str) -> Any:
    store = await Store.open(shared_postgres)
    yield store
    await store.close()


async def test_a_connection_lost_between_two_units_is_not_noticed(postgres: Store, shared_postgres: str) -> None:
    pid = await postgres.write(_pid)
    await asyncio.to_thread(_terminate, shared_postgres, pid)
    assert await postgres.write(note("after")) == "after"
    assert await postgres.write(_pid) != pid


async def test_a_connection_lost_in_a_batch_fails_the_batch_whole(postgres: Store, shared_postgres: str) -> None:
    def cut(connection: Connection) -> None:
        _terminate(shared_postgres, _pid(connection))
        note("cut")(connection)

    commits = Commits(postgres)
    with commits.held():
        first = asyncio.create_task(postgres.write(note("first")))
        await until(commits.reached.is_set, what="the commit")
        gathered = asyncio.gather(
            postgres.write(note("before")), postgres.write(cut), postgres.write(note("after")), return_exceptions=True
        )
        await asyncio.sleep(0)
    assert [type(one) for one in await gathered] == [Unavailable] * 3
    await first
    await postgres.write(note("later"))
    assert await kept(postgres) == ["first", "later"]


async def test_a_connection_lost_in_a_read_is_an_outage(postgres: Store, shared_postgres: str) -> None:
    def cut(connection: Connection) -> None:
        _terminate(shared_postgres, _pid(connection))
        noted(connection)

    with pytest.raises(Unavailable):
        await postgres.read(cut)
    assert await kept(postgres) == []


async def test_a_key_that_another_holds_fails_only_who_wants_it(
    shared_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    store = await Store.open(shared_postgres + "&options=-c%20lock_timeout%3D1ms")
    try:
        # Our own time limit stands, whatever the address says; short for the test.
        assert await store.write(lambda c: c.exec_driver_sql("SHOW lock_timeout").scalar()) == "10s"
    finally:
        await store.close()

    monkeypatch.setattr("gateway.store.engine.LOCK_TIMEOUT_MS", 200)
    store = await Store.open(shared_postgres)

    def wants(connection: Connection) -> None:
        note("no")(connection)
        lock(connection, "held")

    with psycopg.connect(shared_postgres) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('held', 0))")
        commits = Commits(store)
        with commits.held():
            first = asyncio.create_task(store.write(note("first")))
            await until(commits.reached.is_set, what="the commit")
            gathered = asyncio.gather(
                store.write(wants), store.write(note("after")), store.write(wants), store.write(note("last")),
                return_exceptions=True,
            )  # fmt: skip
            await asyncio.sleep(0)
        results = await gathered
    await first
    assert [type(one) for one in results] == [Unavailable, str, Unavailable, str]
    assert await kept(store) == ["first", "after", "last"]
    await store.write(wants)
    await store.close()


def hold_row(connection: Connection, reason: str) -> None:
    """Hold the row of a note, for which, unlike for a key, a transaction waits while it holds others."""
    connection.exec_driver_sql("SELECT FROM refusals WHERE reason = %s FOR UPDATE", (reason,))


async def test_two_processes_that_take_rows_crosswise_both_finish(shared_postgres: str) -> None:
    one, two = await asyncio.gather(Store.open(shared_postgres), Store.open(shared_postgres))
    await asyncio.gather(one.write(note("a")), one.write(note("b")))
    both_hold_one = threading.Barrier(2)
    tries = [0, 0]

    def crosswise(number: int, keys: list[str]) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            tries[number] += 1
            note(f"unit {number}")(connection)
            hold_row(connection, keys[0])
            if tries[number] == 1:
                both_hold_one.wait(SECONDS)
            hold_row(connection, keys[1])

        return unit

    await asyncio.gather(one.write(crosswise(0, ["a", "b"])), two.write(crosswise(1, ["b", "a"])))
    assert sum(tries) >= 3, "one of the two was run again"
    assert sorted(await kept(one)) == ["a", "b", "unit 0", "unit 1"]
    await asyncio.gather(one.close(), two.close())


async def test_a_batch_that_meets_a_deadlock_is_done_one_by_one(shared_postgres: str) -> None:
    one, two = await asyncio.gather(Store.open(shared_postgres), Store.open(shared_postgres))
    await asyncio.gather(one.write(note("a")), one.write(note("b")))
    both_hold_one = threading.Barrier(2)
    met = threading.Event()

    def first_then(key: str) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            hold_row(connection, key)
            if not met.is_set():
                both_hold_one.wait(SECONDS)

        return unit

    def last(key: str) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            met.set()
            hold_row(connection, key)

        return unit

    async def run(store: Store, name: str, mine: str, other: str) -> None:
        commits = Commits(store)
        with commits.held():
            start = asyncio.create_task(store.write(note(f"{name} start")))
            await until(commits.reached.is_set, what="the commit")
            units = [note(f"{name} 1"), first_then(mine), last(other), note(f"{name} 2")]
            gathered = asyncio.gather(start, *(store.write(unit) for unit in units))
            await asyncio.sleep(0)
        await gathered

    await asyncio.gather(run(one, "one", "a", "b"), run(two, "two", "b", "a"))
    assert sorted(await kept(one)) == ["a", "b", "one 1", "one 2", "one start", "two 1", "two 2", "two start"]
    await asyncio.gather(one.close(), two.close())


# SQLite: a file that is locked, or a disk that is full


async def test_a_locked_file_is_an_outage(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.engine.LOCK_TIMEOUT_MS", 50)
    store = await Store.open(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await store.write(note("locked out"))
    assert await kept(store) == []
    other.execute("ROLLBACK")
    other.close()
    await store.write(note("later"))
    assert await kept(store) == ["later"]
    await store.close()


async def test_a_full_disk_is_an_outage_and_leaves_nothing_half_done(sqlite_url: str) -> None:
    store = await Store.open(sqlite_url)
    await store.write(note("before"))
    full = threading.Event()

    @event.listens_for(store.engine, "begin")
    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={1 if full.is_set() else 1_000_000}").fetchall()

    full.set()
    commits = Commits(store)
    with commits.held():
        first = asyncio.create_task(store.write(note("small")))
        await until(commits.reached.is_set, what="the commit")
        gathered = asyncio.gather(
            store.write(note("one")), store.write(note("large", bytes(1_000_000))), store.write(note("two")),
            return_exceptions=True,
        )  # fmt: skip
        await asyncio.sleep(0)
    results = await gathered
    await first
    assert [type(one) for one in results] == [Unavailable] * 3
    assert "full" in str(results[0])
    full.clear()
    await store.write(note("later", bytes(1_000_000)))
    assert await kept(store) == ["before", "small", "later"]
    await store.close()


async def test_a_disk_that_takes_no_more_is_an_outage(sqlite_url: str) -> None:
    """The system refuses to let any file grow beyond a limit: what a quota or a failing disk looks like."""
    import resource

    store = await Store.open(sqlite_url)
    await store.write(note("before"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        with pytest.raises(Unavailable):
            await store.write(note("large", bytes(4_000_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await store.write(note("later", bytes(4_000_000)))
    assert await kept(store) == ["before", "later"]
    await store.close()
