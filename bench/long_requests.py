"""Requests that are long: those of senders that mean no harm, and those that are made to hold the others up."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Final

import orjson
from pydicom.uid import generate_uid

from bench.dicom_client import MPPS_CONTEXTS, Association, performed_step_request
from bench.gateway_process import Gateway
from gateway.simulators import ris
from gateway.simulators.performed_steps import new_uid
from gateway.wire.hl7.mllp_framing import frame

MANY: Final = 100_000
BATCH: Final = 20_000
INFLATED: Final = 48 * 1024 * 1024
NOTE: Final = 9 * 1024 * 1024
BODY_IMAGES: Final = 70_000
"""Some 15 MB of JSON."""
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"


@asynccontextmanager
async def _repeated(request: Callable[[threading.Event], None]) -> AsyncIterator[None]:
    """`request`, made anew when it has been answered, in a thread."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError, RuntimeError, http.client.HTTPException):
                request(stop)

    asking = asyncio.create_task(asyncio.to_thread(ask))
    try:
        yield
    finally:
        stop.set()
        await asking


@asynccontextmanager
async def _repeated_message(port: int, raw: bytes) -> AsyncIterator[None]:
    """A whole message or batch, sent anew when it has been answered."""

    async def talk() -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                writer.write(frame(raw))
                await writer.drain()
                await reader.readuntil(b"\x1c\r")
            writer.transport.abort()

    talking = asyncio.create_task(talk())
    try:
        yield
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


def _order() -> bytes:
    return next(iter(ris.orders(1, 1))).hl7()


def allergies(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An order with very many AL1 segments."""
    segments = b"".join(b"AL1|%d|DA|X%d^Allergen\r" % (number, number) for number in range(1, MANY + 1))
    return _repeated_message(gateway.hl7_port, _order() + segments)


def note(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An order with a note that is as long as a message may be."""
    return _repeated_message(gateway.hl7_port, _order() + b"NTE|1||" + b"word " * (NOTE // 5) + b"\r")


def batch(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """A batch of very many orders."""
    orders = b"".join(order.hl7() for order in ris.orders(2, BATCH))
    return _repeated_message(gateway.hl7_port, b"BHS|^~\\&|RIS\r" + orders + b"BTS|%d\r" % BATCH)


def _query(gateway: Gateway, identifier: bytes) -> AbstractAsyncContextManager[None]:
    """A C-FIND with a deflated identifier."""
    deflated = zlib.compress(identifier, 9, -zlib.MAX_WBITS)
    deflated += bytes(len(deflated) % 2)

    def ask(stop: threading.Event) -> None:
        with Association(gateway.dicom_port, syntax=DEFLATED) as one:
            while not stop.is_set():
                one.find(deflated)

    return _repeated(ask)


def inflating(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An identifier that is a thousand times as long when it is inflated."""
    head = struct.pack("<HH2sHI", 0x0040, 0xA160, b"UT", 0, INFLATED)
    return _query(gateway, head + b" " * INFLATED)


def many_keys(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An identifier with very many keys."""
    tags = (divmod(number, 0xF000) for number in range(MANY))
    keys = (struct.pack("<HH2sH", 0x0011 + 2 * group, 0x1000 + element, b"LO", 0) for group, element in tags)
    return _query(gateway, b"".join(keys))


def _images(number: int) -> list[str]:
    return [f"1.2.826.0.1.3680043.8.498.{one:012d}" for one in range(number)]


def _explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) % 2) if vr not in (b"UI", b"SQ") else b"\0" * (len(value) % 2)
    long = vr == b"SQ"
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    return head + (struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))) + value


def _item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def _performed(images: int) -> bytes:
    """The data set of an N-CREATE that names its images."""
    referenced = b"".join(
        _item(_explicit(0x00081150, b"UI", CT_IMAGE.encode()) + _explicit(0x00081155, b"UI", uid.encode()))
        for uid in _images(images)
    )
    series = _item(_explicit(0x00081140, b"SQ", referenced) + _explicit(0x0020000E, b"UI", b"1.2.3.4"))
    scheduled = _item(_explicit(0x0020000D, b"UI", generate_uid().encode()))
    return (
        _explicit(0x00400241, b"AE", b"CT")
        + _explicit(0x00400252, b"CS", b"IN PROGRESS")
        + _explicit(0x00400253, b"SH", b"P1")
        + _explicit(0x00400270, b"SQ", scheduled)
        + _explicit(0x00400340, b"SQ", series)
    )


def performed(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An N-CREATE that names very many images."""
    data_set = _performed(MANY)

    def create(stop: threading.Event) -> None:
        with Association(gateway.dicom_port, contexts=MPPS_CONTEXTS) as one:
            while not stop.is_set():
                one.perform(performed_step_request(new_uid(), data_set, is_begin=True))

    return _repeated(create)


def _body(number: int) -> bytes:
    """The same as DICOM JSON."""
    images = [
        {"00081150": {"vr": "UI", "Value": [CT_IMAGE]}, "00081155": {"vr": "UI", "Value": [uid]}}
        for uid in _images(number)
    ]
    return orjson.dumps(
        {
            "00400241": {"vr": "AE", "Value": ["CT"]},
            "00400252": {"vr": "CS", "Value": ["IN PROGRESS"]},
            "00400270": {"vr": "SQ", "Value": [{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]},
            "00400340": {"vr": "SQ", "Value": [{"00081140": {"vr": "SQ", "Value": images}}]},
        }
    )


def performed_on_the_web(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """A performed step over DICOMweb that names very many images."""
    body = _body(BODY_IMAGES)
    numbers = count(1)

    def create(stop: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=60)
        path = f"/dicomweb/modality-performed-procedure-steps/2.25.{next(numbers)}"
        connection.request("POST", path, body, {"Content-Type": "application/dicom+json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()

    return _repeated(create)


KINDS: Final[dict[str, Callable[[Gateway], AbstractAsyncContextManager[None]]]] = {
    f"an order with {MANY:,} AL1 segments": allergies,
    f"an order with a note of {NOTE >> 20} MiB": note,
    f"a batch of {BATCH:,} orders": batch,
    f"a query that inflates to {INFLATED >> 20} MiB": inflating,
    f"a query with {MANY:,} keys": many_keys,
    f"an N-CREATE that names {MANY:,} images": performed,
    f"a performed step over the web that names {BODY_IMAGES:,} images": performed_on_the_web,
}
