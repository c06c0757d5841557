"""Structure checks: beside the journey, or before it for a source that is to be refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gateway.assembly import process as app
from gateway.config.hl7 import SenderSource
from gateway.journey.order_intake import structure as conformance
from gateway.store import messages
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.running import Start, sqlite
from tests.journey.test_hl7_transport import listening, metric
from tests.journey.test_order_intake import told
from tests.peers.dcmtk import findscu


def classless(**fields: str) -> bytes:
    """An order without the patient's class (PV1-2), which the standard requires and the worklist does not need."""
    return orm(**fields).replace(b"PV1|1|O|", b"PV1|1||")


async def sent(gateway: app.Running, *raw: bytes) -> list[tuple[str, str, str]]:
    async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"], timeout=60) as client:
        return [told(parse(await client.send(one))) for one in raw]


async def findings(gateway: app.Running) -> list[dict[str, Any]]:
    """Of the newest message, once there are any."""
    rows = await comes_true(lambda: gateway.store.read(messages.listing), lambda listed: listed[0]["findings"])
    found: list[dict[str, Any]] = rows[0]["findings"]
    return found


async def test_a_fault_of_structure_is_added_to_a_message_that_was_accepted(start: Start) -> None:
    faulty = classless()
    async with start(hl7=listening(conformance="warn")) as gateway:
        assert await sent(gateway, faulty) == [("AA", "", "")]
        assert [one.PatientID for one in (await findscu(gateway.dicom_port, "PatientID")).items] == ["PAT1"]
        found = await findings(gateway)
        assert {"place": "PV1-2", "text": "structure: Missing required child PV1.PV1_2"} in found
        checked = partial(metric, gateway, "gateway_hl7_structure_checks_total", listener="ris", outcome="checked")
        await comes_true(checked, lambda number: number >= 1)


@sqlite
async def test_messages_that_wait_together_are_checked_each(start: Start) -> None:
    """Short ones are read together, a long one by itself."""
    long = classless(control_id="3") + b"NTE|1||" + b"long " * (conformance.BYTES_AT_ONCE // 4) + b"\r"
    some = [classless(control_id="1"), orm(control_id="2"), long, classless(control_id="4")]
    async with start(hl7=listening(conformance="warn")) as gateway:
        assert await sent(gateway, *some) == [("AA", "", "")] * 4
        rows = await comes_true(lambda: gateway.store.read(messages.listing), lambda listed: listed[0]["findings"])
    of_class = [any(one["place"] == "PV1-2" for one in row["findings"]) for row in rows]
    assert of_class == [True, True, False, True]


@sqlite
async def test_a_source_can_be_refused_for_it(start: Start) -> None:
    sources = [SenderSource(application="RIS", conformance="reject"), SenderSource(application="OLD")]
    async with start(hl7=listening(sources=sources)) as gateway:
        faulty = classless()
        assert (await sent(gateway, faulty))[0][:2] == ("AR", "100")
        assert (await findscu(gateway.dicom_port, "PatientID")).items == []
        assert await sent(gateway, orm(control_id="2")) == [("AA", "", "")]
        unchecked = classless(control_id="3").replace(b"|RIS|", b"|OLD|", 1)
        assert (await sent(gateway, unchecked))[0][0] == "AA"


@sqlite
async def test_what_no_time_is_for_is_counted_and_not_kept_waiting(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance, "MOST_WAITING", 0)
    async with start(hl7=listening(conformance="warn")) as gateway:
        labels = {"listener": "ris", "outcome": "skipped"}
        before = await metric(gateway, "gateway_hl7_structure_checks_total", **labels)
        assert await sent(gateway, classless()) == [("AA", "", "")]
        assert await metric(gateway, "gateway_hl7_structure_checks_total", **labels) == before + 1
        [row] = await gateway.store.read(messages.listing)
        assert row["findings"] == []
