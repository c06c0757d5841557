"""Messages as they came: the same one twice is one, another under the same MSH-10 is noticed."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection

from gateway.records.message import WRONG, MessageState
from gateway.records.row_ids import MessageRow
from gateway.store import Store, messages
from gateway.store.messages import Earlier
from tests.conftest import comes_true, until

BODY = b"MSH|^~\\&|RIS|HOSP|GATEWAY||20260101||ORM^O01|1|P|2.5\r"


def _adding(
    control_id: str = "1", body: bytes = BODY, state: MessageState = MessageState.APPLIED, ack: bytes = b"AA"
) -> Callable[..., MessageRow]:
    return lambda connection: messages.add(
        connection, received_at=1, listener="ris", peer="127.0.0.1", sender="RIS|HOSP", control_id=control_id,
        type="ORM^O01", digest=hashlib.sha256(body).digest(), body=body, state=state, ack_code="AA", ack=ack,
        findings=[{"place": "PID-3", "text": "remarkable"}],
    )  # fmt: skip


def _earlier(body: bytes = BODY, control_id: str = "1") -> Callable[[Connection], Earlier]:
    return partial(messages.earlier, sender="RIS|HOSP", control_id=control_id, digest=hashlib.sha256(body).digest())


async def test_the_bytes_are_kept_as_they_came(store: Store) -> None:
    odd = bytes(range(256))
    number = await store.write(_adding(body=odd))
    row = await store.read(lambda connection: messages.get(connection, number))
    assert row is not None
    assert (row["body"], row["ack"], row["findings"]) == (odd, b"AA", [{"place": "PID-3", "text": "remarkable"}])
    assert await store.read(lambda connection: messages.get(connection, MessageRow(number + 1))) is None


async def test_the_same_message_gets_the_same_answer(store: Store) -> None:
    assert await store.write(_earlier()) == Earlier()
    await store.write(_adding())
    assert await store.write(_earlier()) == Earlier(ack=b"AA", ack_code="AA")
    assert await store.write(_earlier(control_id="2")) == Earlier()
    assert await store.write(_earlier(body=b"other")) == Earlier(other=True)
    await store.write(_adding(body=b"other"))
    assert await store.write(_earlier()) == Earlier(ack=b"AA", ack_code="AA", other=True)


@pytest.mark.parametrize("state", WRONG)
async def test_what_was_not_applied_is_worked_on_again(store: Store, state: MessageState) -> None:
    number = await store.write(_adding(state=state, ack=b"AE"))
    assert await store.write(_earlier()) == Earlier(row=number)
    await store.write(
        partial(
            messages.settle, message=number, state=MessageState.APPLIED, ack_code="AA", ack=b"AA later", findings=[]
        )
    )
    assert await store.write(_earlier()) == Earlier(ack=b"AA later", ack_code="AA")


async def test_the_same_message_on_two_connections_is_one(shared_postgres: str) -> None:
    one, two = await asyncio.gather(Store.open(shared_postgres), Store.open(shared_postgres))
    looked, go = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> bool:
        first = _earlier()(connection) == Earlier()
        looked.set()
        assert go.wait(120)
        _adding()(connection)
        return first

    def quickly(connection: Connection) -> bool:
        return _earlier()(connection) == Earlier()

    first = asyncio.create_task(one.write(slowly))
    await until(looked.is_set)
    second = asyncio.create_task(two.write(quickly))
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    await comes_true(lambda: one.read(lambda c: c.exec_driver_sql(waiting).scalar()))
    go.set()
    assert await first
    assert not await second, "it waited, and saw the first"
    await asyncio.gather(one.close(), two.close())


async def test_the_listing_leaves_out_the_bytes(store: Store) -> None:
    states = (MessageState.APPLIED, MessageState.FAILED, MessageState.APPLIED)
    ids = [await store.write(_adding(str(n), state=state)) for n, state in enumerate(states)]

    async def listed(state: MessageState | None = None, limit: int = 100, before: int | None = None) -> list[int]:
        rows = await store.read(partial(messages.listing, state=state, limit=limit, before=before))
        assert all(not {"body", "ack", "digest"} & set(row) for row in rows)
        return [row["id"] for row in rows]

    assert await listed() == ids[::-1]
    assert await listed(MessageState.FAILED) == [ids[1]]
    assert await listed(limit=1) == [ids[2]]
    assert await listed(before=ids[2]) == [ids[1], ids[0]]
