"""What came and went by the hour, and what happened last, over a real database."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.errors import Fate
from gateway.operations.state.events import last_events
from gateway.operations.state.part import Level
from gateway.operations.state.traffic import HOUR, Traffic
from gateway.records.work import delivery_to
from gateway.store import Store
from gateway.store.traffic import Counted
from tests.web.served import NINE, add_delivery, add_instance, add_message, add_refusal

MINUTE = HOUR // 60


async def test_each_hour_is_counted(store: Store) -> None:
    now = NINE + 3 * HOUR + MINUTE

    def fill(connection: Connection) -> None:
        add_message(connection, at=NINE - 30 * HOUR)
        add_message(connection, at=NINE)
        add_message(connection, at=NINE + MINUTE, state="rejected")
        add_instance(connection, 1, at=NINE + HOUR)
        add_message(connection, at=NINE + 3 * HOUR)
        add_delivery(connection, at=NINE + 3 * HOUR, kind="ehr:main", study_uid="1.2")
        add_delivery(connection, at=NINE + 3 * HOUR, kind="ehr:main", study_uid="1.3", fate=Fate.PARK)
        add_delivery(connection, at=NINE + 3 * HOUR, kind="settle", study_uid="1.3")

    await store.write(fill)
    traffic = Traffic([delivery_to("main")])
    hours = await traffic.of(store, now)
    assert (len(hours), hours[-1].begins_at) == (24, NINE + 3 * HOUR)
    assert [one.counted for one in hours[-4:]] == [
        Counted(orders=2, errors=1), Counted(instances=1), Counted(), Counted(orders=1, deliveries=1, errors=1),
    ]  # fmt: skip
    assert hours[-1].counted.share_of_errors == 1 / 3
    assert sum(one.counted.orders for one in hours) == 3
    await store.write(lambda c: add_message(c, at=now))
    assert await traffic.of(store, now + MINUTE // 2) is hours, "a minute has not passed"
    hours = await traffic.of(store, now + HOUR)
    assert [one.counted.orders for one in hours[-5:]] == [2, 0, 0, 2, 0]


async def test_the_last_events_are_of_all_kinds(store: Store) -> None:
    def fill(connection: Connection) -> None:
        add_message(connection, at=NINE)
        add_message(connection, at=NINE + MINUTE, state="failed")
        add_delivery(connection, at=NINE + 2 * MINUTE, fate=Fate.PARK, outcome={"error": "HTTP 422"})
        add_refusal(connection)

    await store.write(fill)
    events = await store.read(last_events)
    assert [(event.what, event.result, event.level) for event in events[:2]] == [
        ("ehr:main", "parked: HTTP 422", Level.BAD), ("ORM^O01 from ris", "failed", Level.BAD),
    ]  # fmt: skip
    assert {event.what for event in events} >= {"arrival from ris 127.0.0.1"}
    assert len(await store.read(lambda connection: last_events(connection, limit=2))) == 2
