"""Events beside the work: each is written once, whatever the database does meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.errors import Unavailable
from gateway.store import Store, audit, audit_log
from gateway.store.audit_log import AuditLog, seal_all
from tests.conftest import until
from tests.store.audit_events import events_of
from tests.store.test_audit import happened, recorded


class _Hung:
    """A store that does not answer in time, and does what it was given afterwards."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.units: list[Callable[[Connection], Any]] = []
        self.is_hung = True

    def was_tried(self, times: int) -> bool:
        return len(self.units) > times

    async def write(self, unit: Callable[[Connection], Any]) -> Any:
        if self.is_hung:
            self.units.append(unit)
            raise Unavailable("no answer", place="database")
        for late in self.units:
            await self._store.write(late)
        return await self._store.write(unit)


async def test_events_that_were_tried_again_are_written_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit_log, "GATHER_SECONDS", 0.001)
    monkeypatch.setattr(audit_log, "LONGEST_PAUSE_SECONDS", 0.002)
    hung = _Hung(store)
    trail = AuditLog(hung)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, logger=audit_log.__name__):
        for number in range(1, 5):
            trail.note(happened(number))
            await until(partial(hung.was_tried, 3 * number), what="some tries")
    assert len(caplog.records) == 1, "an outage is one line"
    hung.is_hung = False
    await trail.close()
    assert len(await store.read(events_of)) == 4


class _Busy:
    """A store to which each unit leaves events of others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read = store.read

    async def write(self, unit: Callable[[Connection], Any]) -> Any:
        await self._store.write(recorded(happened(1), happened(2)))
        return await self._store.write(unit)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_comes_while_events_are_chained_waits_for_the_next_time(store: Store) -> None:
    busy = _Busy(store)
    assert await seal_all(busy) == 0, "nothing waited"  # type: ignore[arg-type]
    await store.write(recorded(happened(3)))
    assert await seal_all(busy) == 3  # type: ignore[arg-type]
    assert await store.read(audit.number_waiting) == 0
