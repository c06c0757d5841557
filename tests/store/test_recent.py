from __future__ import annotations

from sqlalchemy import Connection, delete

from gateway.store import Store, recent
from gateway.store.schema import messages
from tests.web.served import add_message

SECOND = 1_000_000


async def test_the_first_row_since_a_moment_is_found_among_gaps(store: Store) -> None:
    def fill(connection: Connection) -> list[int]:
        rows = [add_message(connection, at=number * SECOND) for number in range(40)]
        connection.execute(delete(messages).where(messages.c.id.in_(rows[10:20])))
        return list(rows)

    assert await store.read(lambda c: recent.first_since(c, "messages", 5)) == 1
    rows = await store.write(fill)

    async def since(second: int) -> list[int]:
        first = await store.read(lambda c: recent.first_since(c, "messages", second * SECOND))
        return [row for row in (*rows[:10], *rows[20:]) if row >= first]

    assert await since(0) == [*rows[:10], *rows[20:]]
    assert await since(5) == [*rows[5:10], *rows[20:]]
    assert await since(12) == await since(20) == rows[20:]
    assert await since(39) == rows[39:]
    assert await since(99) == []
    assert await store.read(lambda c: recent.newest_id(c, "messages")) == rows[-1]
