"""Questions that are asked beside each other: each has its own answer, by a statement that began after it was put."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Connection

from gateway.errors import Unavailable
from gateway.store import Store
from gateway.store.gathered import Gathered
from tests.conftest import until

SECONDS = 120.0
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Statements:
    """What is asked, statement by statement; the first waits for `goes_on`. Odd numbers have an answer."""

    asked: list[Sequence[int]] = field(default_factory=list)
    goes_on: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None

    def answer(self, _connection: Connection, questions: Sequence[int]) -> Mapping[int, int]:
        self.asked.append(questions)
        self.goes_on.wait(SECONDS)
        if self.failure is not None:
            raise self.failure
        return {one: one * 10 for one in questions if one % 2}


async def test_each_question_has_its_own_answer(store: Store) -> None:
    statements = Statements()
    gathered = Gathered(store, statements.answer)
    first = asyncio.create_task(gathered.ask(1))
    await until(lambda: statements.asked)
    others = [asyncio.create_task(gathered.ask(one)) for one in (3, 1, 2, 3)]
    impatient = asyncio.create_task(gathered.ask(5))
    await asyncio.sleep(0)
    impatient.cancel()
    statements.goes_on.set()
    assert await first == 10
    assert await asyncio.gather(*others) == [30, 10, None, 30]
    assert statements.asked == [[1], [3, 1, 2, 5]]
    await gathered.close()


async def test_a_failure_is_of_those_who_asked_and_of_nobody_after(store: Store) -> None:
    statements = Statements(failure=Unavailable("away", place="database"))
    statements.goes_on.set()
    gathered = Gathered(store, statements.answer)
    failures = await asyncio.gather(*(gathered.ask(one) for one in (1, 3)), return_exceptions=True)
    assert [type(one) for one in failures] == [Unavailable, Unavailable]
    statements.failure = None
    assert await gathered.ask(1) == 10
    await gathered.close()
