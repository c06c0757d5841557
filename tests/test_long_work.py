"""Long work lets others compute: it pauses, and nothing in it holds the interpreter for long."""

from __future__ import annotations

import resource
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import orjson
import pytest

from gateway.dicom_encoding import EXPLICIT_LITTLE
from gateway.long_work import PAUSE_SECONDS, beside, pause, slices, with_pauses
from gateway.mapping.attributes import to_dataset
from gateway.mapping.elements import of_elements
from gateway.mapping.language.values import fit
from gateway.web.dicomweb.attributes import attributes_of
from gateway.wire.dicomweb import dicom_json, native_xml
from gateway.wire.dimse.course import OF_STATEMENTS
from gateway.wire.dimse.identifier import decode
from gateway.wire.hl7.parsing import parse

IMAGES: Final = 5_000
HEADER: Final = b"MSH|^~\\&|RIS|H|GW|H|20260101||ORM^O01|1|P|2.3.1\r"
UIDS: Final = [{"ReferencedSOPInstanceUID": "1.2.3"} for _ in range(2_000)]
ITEMS: Final = [{"00081150": {"vr": "UI", "Value": ["1.2.3"]}} for _ in range(3_000)]


def _images() -> bytes:
    """A Referenced Image Sequence."""
    uids = (b"1.2.%06d" % number for number in range(IMAGES))
    elements = [struct.pack("<HH2sH", 0x0008, 0x1155, b"UI", len(uid)) + uid for uid in uids]
    items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in elements)
    return struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, len(items)) + items


def _body() -> bytes:
    return orjson.dumps({"00081140": {"vr": "SQ", "Value": ITEMS}})


def _in_thread(work: Callable[[], object]) -> int:
    """How often the thread waited of its own will while it did the work."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    work()
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before


async def test_long_work_pauses_as_long_as_it_computes() -> None:
    def compute() -> tuple[float, float]:
        began, cpu = time.perf_counter(), time.thread_time()
        while time.thread_time() < cpu + 20 * PAUSE_SECONDS:
            pause()
        return time.perf_counter() - began, time.thread_time() - cpu

    passed, computed = await beside(compute)
    assert passed - computed > 10 * PAUSE_SECONDS


async def test_what_is_short_never_pauses() -> None:
    """On the loop a pause would stop everything: the watch over blocking calls fails this test."""
    time_ended = time.perf_counter() + 3 * PAUSE_SECONDS
    while time.perf_counter() < time_ended:
        pause()
    assert list(with_pauses([1, 2])) == [1, 2]


def test_slices_are_the_whole() -> None:
    text = "abc" * 100_000
    assert "".join(slices(text)) == text
    assert max(map(len, slices(text))) < len(text) / 4


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: decode(_images(), EXPLICIT_LITTLE, OF_STATEMENTS), id="data set"),
        pytest.param(partial(of_elements, decode(_images(), EXPLICIT_LITTLE, OF_STATEMENTS)), id="attributes"),
        pytest.param(partial(to_dataset, {"ReferencedImageSequence": UIDS}), id="data set of attributes"),
        pytest.param(lambda: parse(HEADER + b"AL1|1|DA|X^Allergen\r" * 9_000), id="segments"),
        pytest.param(lambda: parse(HEADER + b"NTE|1||text\r" + b"text\n" * 200_000), id="lines of both kinds"),
        pytest.param(lambda: fit("UT", "text \x07" * 200_000, too_long="cut"), id="a long text"),
        pytest.param(partial(dicom_json.read, _body()), id="DICOM JSON"),
        pytest.param(partial(native_xml.read, native_xml.write(dicom_json.read(_body()))), id="XML, reading"),
        pytest.param(partial(native_xml.write, dicom_json.read(_body())), id="XML, writing"),
        pytest.param(partial(attributes_of, dicom_json.read(_body())), id="attributes of DICOMweb"),
    ],
)
async def test_long_readings_pause(work: Callable[[], object]) -> None:
    waits = await beside(partial(_in_thread, work))
    assert waits >= 4, f"paused {waits} times"
