"""What a withdrawal says that it has done."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.operations.withdraw import WithdrawalReceiver, withdraw
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import Store
from tests.web.served import NINE, STUDY, add_delivery, add_instance

DAY = "2026-01-05 09:00:00Z"


def _delivered(connection: Connection, *ehrs: str) -> None:
    add_instance(connection, 1, at=NINE)
    for ehr in ehrs:
        add_delivery(connection, at=NINE, kind=f"ehr:{ehr}")


async def test_it_names_who_gets_a_delivery_and_who_does_not(store: Store) -> None:
    await store.write(lambda connection: _delivered(connection, "main", "old"))
    done = await store.write(partial(withdraw, study_uid=StudyInstanceUID(STUDY), ehrs=["main", "new"], now=NINE))
    assert done.receivers == (
        WithdrawalReceiver("main", holds=True, notified=True),
        WithdrawalReceiver("new", holds=False, notified=True),
        WithdrawalReceiver("old", holds=True, notified=False),
    )
    assert str(done) == (
        f"withdrawn since {DAY}; 2 deliveries follow, to main, new (had nothing of it); "
        "old holds it and is not configured"
    )
    again = await store.write(partial(withdraw, study_uid=StudyInstanceUID(STUDY), ehrs=["main", "new"], now=NINE + 1))
    assert (str(again), again.deliveries) == (f"withdrawn since {DAY} already, nothing was done", 0)


async def test_without_an_ehr_nothing_is_delivered(store: Store) -> None:
    await store.write(lambda connection: _delivered(connection))
    undone = await store.write(partial(withdraw, study_uid=StudyInstanceUID(STUDY), ehrs=[], now=NINE, undo=True))
    assert str(undone) == "counts already, nothing was done"
    done = await store.write(partial(withdraw, study_uid=StudyInstanceUID(STUDY), ehrs=[], now=NINE))
    assert str(done) == f"withdrawn since {DAY}; no EHR is configured, nothing is delivered"
    with pytest.raises(UnknownKey):
        await store.write(partial(withdraw, study_uid=StudyInstanceUID("9.9"), ehrs=[], now=NINE))
