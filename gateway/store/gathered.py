"""Questions to the database that many ask beside each other: one statement answers all that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from sqlalchemy import Connection

from gateway.store import Store

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Gathered(Generic[Question, Answer]):
    """Questions that come while others are being answered wait, and are answered together by the next statement.

    `answer_all`: gives the answers to distinct questions; a question without one is answered by None.
    """

    def __init__(
        self, store: Store, answer_all: Callable[[Connection, Sequence[Question]], Mapping[Question, Answer]]
    ) -> None:
        self._store = store
        self._answer_all = answer_all
        self._asked: list[tuple[Question, asyncio.Future[Answer | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer | None:
        """The answer, by what was committed when the question was put or later. Raises `Unavailable`."""
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._asked.append((question, future))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._work(), name="gathered questions")
        return await future

    async def close(self) -> None:
        """Wait for the statement that is under way."""
        if self._asking is not None:
            await asyncio.wait([self._asking])

    async def _work(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            questions = list(dict.fromkeys(question for question, _ in asked))
            try:
                answers = await self._store.read(partial(self._answers, questions))
            except BaseException as error:
                _fail([future for _, future in asked], error)
                if not isinstance(error, Exception):
                    raise
            else:
                for question, future in asked:
                    if not future.done():
                        future.set_result(answers.get(question))

    def _answers(self, questions: Sequence[Question], connection: Connection) -> Mapping[Question, Answer]:
        return self._answer_all(connection, questions)


def _fail(futures: Sequence[asyncio.Future[Answer | None]], error: BaseException) -> None:
    """Who waits gets the error; a cancellation is of the asking, and cancels who waits."""
    for future in futures:
        if not future.done():
            future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
