"""The RIS simulator: what it sends, and how it reads what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.errors import Unavailable
from gateway.simulators.ris import _ORDER_STATUS, orders, send
from gateway.wire.hl7 import structure
from gateway.wire.hl7.mllp_framing import MllpPeer
from gateway.wire.hl7.mllp_incoming import MllpLimits
from gateway.wire.hl7.mllp_server import MllpServer
from gateway.wire.hl7.parsing import parse
from gateway.wire.hl7.segment import Segment
from tests.peers.mllp import mllp_send

LIMITS = MllpLimits(max_message_bytes=1_000_000, idle_seconds=30, message_seconds=10, max_connections=64)


@asynccontextmanager
async def listener(handler: Callable[[bytes, MllpPeer], Awaitable[bytes | None]]) -> AsyncIterator[MllpServer]:
    server = MllpServer(handler, LIMITS)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop(1)


def acknowledged(raw: bytes, code: str = "AA", text: str = "") -> bytes:
    return f"MSH|^~\\&|||||||ACK^O01|1|P|2.3.1\rMSA|{code}|{parse(raw).control_id}|{text}\r".encode()


def segment(raw: bytes, name: str) -> Segment:
    found = parse(raw).first(name)
    assert found is not None
    return found


def test_the_same_seed_gives_the_same_orders() -> None:
    assert list(orders(7, 25)) == list(orders(7, 25))
    assert list(orders(7, 25))[:5] == list(orders(7, 5))


def test_every_order_is_somebody_elses() -> None:
    both = [*orders(7, 100), *orders(8, 100)]
    for name in ("accession_number", "patient_id", "study_uid", "step_id"):
        assert len({getattr(order, name) for order in both}) == 200, name
    assert len({order.modality for order in both}) == 10
    assert all(len(order.step_id) <= 16 and len(order.study_uid) <= 64 for order in both)


def test_a_seed_that_makes_accession_numbers_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        next(orders(100_000, 1))


def test_the_fields_stand_where_ihe_puts_them() -> None:
    order = next(orders(1, 1))
    message = parse(order.hl7())
    assert (message.type, message.trigger, message.version) == ("ORM", "O01", "2.3.1")
    pid, orc, obr, zds = (segment(order.hl7(), name) for name in ("PID", "ORC", "OBR", "ZDS"))
    start = f"{order.start:%Y%m%d%H%M%S}"
    assert (pid.leaf(3), pid.leaf(3, 4), pid.leaf(5)) == (
        order.patient_id,
        "RIS",
        order.patient_name.split("^")[0],
    )
    assert (orc.leaf(1), orc.leaf(5), orc.leaf(7, 4)) == ("NW", "SC", start)
    assert (obr.leaf(18), obr.leaf(20), obr.leaf(24), obr.leaf(27, 4)) == (
        order.accession_number,
        order.step_id,
        order.modality,
        start,
    )
    assert zds.leaf(1) == order.study_uid


def test_a_later_message_about_an_order_is_another_and_later() -> None:
    order = next(orders(1, 1))
    raws = [
        order.hl7(),
        order.hl7("XO", revision=1),
        order.hl7("XO", revision=2),
        order.hl7("CA", revision=3),
    ]
    assert len({parse(raw).control_id for raw in raws}) == 4
    assert [segment(raw, "ORC").leaf(9) for raw in raws] == sorted(segment(raw, "ORC").leaf(9) for raw in raws)
    assert segment(raws[3], "ORC").leaf(5) == "CA"
    assert len({segment(raw, "OBR").leaf(18) for raw in raws}) == 1


def test_names_outside_ascii_survive() -> None:
    names = {order.patient_name for order in orders(1, 200)}
    assert any(not name.isascii() for name in names)
    for order in orders(1, 200):
        assert segment(order.hl7(), "PID").leaf(5) == order.patient_name.split("^")[0]


async def test_answers_come_in_the_order_of_the_messages() -> None:
    open_now, beside = 0, asyncio.Event()

    async def judge(raw: bytes, _peer: MllpPeer) -> bytes:
        nonlocal open_now
        open_now += 1
        if open_now > 1:
            beside.set()
        await beside.wait()  # alone it would wait for ever
        open_now -= 1
        wanted = int(parse(raw).control_id[5:11])
        return acknowledged(raw, "AE" if wanted % 3 else "AA", f"number {wanted}")

    async with listener(judge) as server:
        messages = [order.hl7() for order in orders(1, 40)]
        answers = await send("127.0.0.1", server.port, messages, concurrency=4)
    assert [answer.text for answer in answers] == [f"number {n}" for n in range(40)]
    assert [answer.code for answer in answers] == ["AE" if n % 3 else "AA" for n in range(40)]
    assert all(answer.seconds > 0 for answer in answers)


async def test_a_connection_that_is_closed_is_no_answer() -> None:
    async def hang_up(_raw: bytes, _peer: MllpPeer) -> None:
        return None

    async with listener(hang_up) as server:
        with pytest.raises(Unavailable):
            await send("127.0.0.1", server.port, [order.hl7() for order in orders(1, 4)], concurrency=2)


async def test_python_hl7_sends_the_same_messages() -> None:
    arrived: list[bytes] = []

    async def keep(raw: bytes, _peer: MllpPeer) -> bytes:
        arrived.append(raw)
        return acknowledged(raw)

    messages = [order.hl7() for order in orders(1, 3)]
    async with listener(keep) as server:
        answers = await mllp_send(server.port, *messages)
    assert [raw.rstrip(b"\r") for raw in arrived] == [raw.rstrip(b"\r") for raw in messages]
    assert [segment(answer.encode(), "MSA").leaf(1) for answer in answers] == ["AA"] * 3


@pytest.mark.parametrize("control", list(_ORDER_STATUS))
def test_no_message_of_ours_departs_from_the_standard(control: str) -> None:
    """What a newcomer tries first shows no findings that nobody can mend."""
    for exam in orders(3, 12):
        assert structure.check(exam.hl7(control).decode(), "") == []
