"""A RIS and modalities that go on all night: what is not answered is sent again, to the other node, as they do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from typing import Final, TypeVar

from pydicom import Dataset

from bench.night.model import Examined, Model
from bench.night.node import Node
from gateway.errors import GatewayError, Rejected, Unavailable
from gateway.simulators import modality, performed_steps, ris
from gateway.simulators.studies import perform
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse

T = TypeVar("T")
SEED: Final = 15
MOST: Final = 100_000
ANSWER_SECONDS: Final = 25.0
"""A sender's patience: longer than `database.answer_seconds`."""
PAUSE_SECONDS: Final = 1.0
TRIES: Final = 5
"""Of what is refused rather than not answered."""
OUTAGES: Final = ("0213", "C001")
"""Resource Limitation (PS3.7 C.5.14) of a performed step, Unable to process (PS3.4 C.4.1.1.4) of a query."""
GROWS_AFTER_SECONDS: Final = 6.0
AES: Final = {"called_ae": "GATEWAY", "calling_ae": "MODALITY"}


class Load:
    """`run` it until cancelled; then wait for `done`, when each sender has its answer."""

    def __init__(self, nodes: Sequence[Node], model: Model, orders_per_second: float) -> None:
        self._nodes = nodes
        self._model = model
        self._pause = 1 / orders_per_second
        self._next = cycle(range(len(nodes)))
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """An order each `1 / orders_per_second`, and what follows from it."""
        begun = time.monotonic()
        # Dated in the past: of what is dated days ahead the time of receipt decides, by a clock that is moved here.
        orders = ris.orders(SEED, MOST, first_day=datetime.now(UTC).date())
        for number in count():
            await asyncio.sleep(begun + number * self._pause - time.monotonic())
            task = asyncio.create_task(self._life(number, next(orders)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    @property
    def senders(self) -> int:
        """Who has not had all answers yet."""
        return len(self._under_way)

    async def done(self) -> None:
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def stop(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _life(self, number: int, order: ris.Exam) -> None:
        """Order; each query after its AA finds it; some are changed, cancelled or examined, and some studies grow."""
        await self._order(order, order.hl7())
        self._model.orders[order.accession_number] = order
        await self._item(order)
        if number % 10 == 3:
            moved = replace(order, start=order.start + timedelta(minutes=5))
            await self._order(order, moved.hl7("XO", revision=1))
            self._model.orders[order.accession_number] = moved
        elif number % 10 == 5:
            await self._order(order, order.hl7("CA", revision=1))
            self._model.cancelled.add(order.accession_number)
        elif number % 2 == 0:
            await self._examine(order, grows=number % 4 == 0)

    async def _order(self, order: ris.Exam, message: bytes) -> None:
        async def send(node: Node) -> None:
            async with MllpClient("127.0.0.1", node.hl7, timeout=ANSWER_SECONDS) as connection:
                acknowledgement = parse(await connection.send(message)).first("MSA")
            assert acknowledgement is not None
            if acknowledgement.leaf(1) == "AR":
                raise Unavailable(f"AR: {acknowledgement.leaf(3)}")
            if acknowledgement.leaf(1) != "AA":
                raise Rejected(f"{acknowledgement.leaf(1)}: {acknowledgement.leaf(3)}", place=order.accession_number)

        await self._until_taken("order", send)

    async def _item(self, order: ris.Exam) -> Dataset | None:
        async def ask(node: Node) -> list[Dataset]:
            items = await modality.query(
                "127.0.0.1", node.dicom, accession_number=order.accession_number, timeout=ANSWER_SECONDS
            )
            if len(items) != 1:
                self._model.unseen.append(f"{order.accession_number} at {node.name}: {len(items)} matches after its AA")
            return items

        items = await self._until_taken("query", ask)
        return items[0] if items else None

    async def _examine(self, order: ris.Exam, *, grows: bool) -> None:
        item = await self._item(order)
        if item is None:
            return
        images, uid = perform(item, series=1, instances=3), performed_steps.new_uid()
        first = images[: 2 if grows else 3]
        begun, ended = performed_steps.begun(item, "MODALITY"), performed_steps.ended(first)
        study = self._model.studies[order.study_uid] = Examined()

        async def begin(node: Node) -> None:
            await client.create_performed_step("127.0.0.1", node.dicom, uid, begun, timeout=ANSWER_SECONDS, **AES)

        async def end(node: Node) -> None:
            await client.set_performed_step("127.0.0.1", node.dicom, uid, ended, timeout=ANSWER_SECONDS, **AES)

        await self._until_taken("performed step", begin)
        for image in first:
            await self._store(image, study)
        # The end that was kept but not answered is refused the next time, as no performed step ends twice.
        await self._until_taken("performed step", end, refused_after_all="0110")
        study.ended = True
        if grows:
            await asyncio.sleep(GROWS_AFTER_SECONDS)
            await self._store(images[2], study)

    async def _store(self, image: Dataset, study: Examined) -> None:
        async def send(node: Node) -> None:
            [(_, status)] = await client.store("127.0.0.1", node.dicom, [image], timeout=ANSWER_SECONDS, **AES)
            if status & 0xFF00 == 0xA700:
                raise Unavailable(f"C-STORE answered {status:04X}")
            if status:
                raise Rejected(f"C-STORE answered {status:04X}", place="image")

        await self._until_taken("image", send)
        study.instances += 1

    async def _until_taken(
        self, kind: str, work: Callable[[Node], Awaitable[T]], *, refused_after_all: str = ""
    ) -> T | None:
        """Ask one node after the other; None when each refuses."""
        refused = 0
        for node in self._turns():
            begun = time.monotonic()
            try:
                result = await work(node)
            except GatewayError as error:
                if refused_after_all and refused_after_all in str(error):
                    return None
                self._model.note(kind, node.name, begun, str(error) or type(error).__name__)
                refused += not _may_be_asked_later(error)
                if refused == TRIES:
                    self._model.given_up.append(f"{kind}: {error}")
                    return None
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._model.note(kind, node.name, begun)
                return result
        raise AssertionError("the turns never end")

    def _turns(self) -> Iterator[Node]:
        for number in count(next(self._next)):
            yield self._nodes[number % len(self._nodes)]


def _may_be_asked_later(error: GatewayError) -> bool:
    """Whether an answer, or none, is of an outage: the sender goes on as long as that lasts."""
    return isinstance(error, Unavailable) or any(f"status {status} " in str(error) for status in OUTAGES)
