"""hl7apy in a process of its own: what it finds, told with its place and without values."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from gateway.errors import Place, Unavailable
from gateway.records.patient import PATIENT_EVENTS
from gateway.wire.hl7 import structure as hl7_conformance
from gateway.wire.hl7.structure import LONGEST, Checker, Severity, StructureFinding, check
from tests.conftest import until
from tests.journey.messages import adt, orm


def order(**fields: str) -> str:
    return orm(**fields).decode()


@pytest.fixture
async def checker() -> AsyncIterator[Checker]:
    """One that does not yield: on a busy machine that might never answer."""
    opened = Checker(yields=False)
    yield opened
    await opened.close()


def texts(findings: list[StructureFinding]) -> str:
    return "\n".join(f"{finding.place}: {finding}" for finding in findings)


NO_NAME = StructureFinding(Place("PID", 5), "Missing required child PID.PID_5", Severity.STRUCTURE)


def test_an_order_as_ihe_has_it_is_well() -> None:
    assert [finding for finding in check(order(), "") if finding.severity is Severity.STRUCTURE] == []


def test_what_is_missing_is_named_by_its_field() -> None:
    without_name = order().replace("|MUSTER^MAX|", "||")
    assert NO_NAME in check(without_name, "")


def test_values_are_never_told() -> None:
    found = check(order(name="SECRET^NAME", modality="PRIVATE").replace("|M\r", "|PRIVATE\r"), "2.5")
    assert any(finding.place == Place("PID", 8) for finding in found), texts(found)
    assert "SECRET" not in texts(found)
    assert "PRIVATE" not in texts(found)


@pytest.mark.parametrize("text", ["MSH|^~\\&|x", "", "MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|9.9\rPID|1\r", "\x00\x1c"])
def test_what_cannot_be_read_is_a_fault(text: str) -> None:
    [fault] = check(text, "")
    assert fault.severity is Severity.STRUCTURE


VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("trigger", sorted(PATIENT_EVENTS))
def test_every_adt_is_checked_by_the_structure_of_its_kind(trigger: str, version: str) -> None:
    prior = "OLD^^^HOSP" if trigger in ("A40", "A47") else ""
    text = adt(trigger, prior=prior).decode().replace("|P|2.3.1", f"|P|{version}")
    found = texts(check(text, ""))
    assert "not readable" not in found
    assert ("not checked" in found) == (trigger == "A23" and version in ("2.3", "2.3.1"))
    if version == "2.5":
        assert "PID" in texts(check(text.replace("PID|1||PAT1^^^HOSP||MUSTER^MAX", "PID|1||||"), ""))


@pytest.mark.parametrize("version", ["2.5.1", "2.6", "2.7", "2.8", "2.8.2"])
def test_an_order_with_a_timing_segment_is_well(version: str) -> None:
    text = (
        f"MSH|^~\\&|RIS|HOSP|GW|HOSP|20260101||OMI^O23^OMI_O23|1|P|{version}\rPID|1||1^^^HOSP^MR||MUSTER^MAX\r"
        "ORC|NW|P1|F1\rTQ1|1||||||20260102||R\rOBR|1|P1|F1|CT^CT^L\rIPC|A1|RP1|1.2.3|SPS1|CT\r"
    )
    assert [finding for finding in check(text, "") if finding.severity is Severity.STRUCTURE] == []


def test_a_version_can_be_asked_for() -> None:
    unknown = order().replace("|P|2.3.1", "|P|9.9")
    assert "no HL7 version of this name" in texts(check(unknown, ""))
    assert "no HL7 version of this name" not in texts(check(unknown, "2.3.1"))


async def test_the_process_answers_one_after_the_other(checker: Checker) -> None:
    found = await asyncio.gather(*(checker.faults(order().replace("|MUSTER^MAX|", "||")) for _ in range(3)))
    assert all(NO_NAME in one for one in found)


async def test_a_process_that_died_is_started_again(checker: Checker) -> None:
    await checker.faults(order())
    assert checker._process is not None
    os.kill(checker._process.pid, signal.SIGKILL)
    await checker._process.wait()
    assert await checker.faults(order()) == check(order(), "")


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no idle scheduling")
async def test_only_a_process_that_nobody_waits_for_yields(checker: Checker) -> None:
    await checker.faults(order())
    assert not _yields(checker)
    opened = Checker(yields=True)
    asking = asyncio.create_task(opened.faults(order()))
    try:
        # Its answer is not waited for: a busy machine may never let it give one.
        await until(lambda: _yields(opened), what="a process that yields")
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await opened.close()


def _yields(checker: Checker) -> bool:
    return checker._process is not None and os.sched_getscheduler(checker._process.pid) == os.SCHED_IDLE


async def test_a_process_that_dies_at_work_is_told(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    await checker.faults(order())
    assert checker._process is not None
    os.kill(checker._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(hl7_conformance, "SECONDS", 0.3)
    with pytest.raises(Unavailable, match="could not be checked"):
        await checker.faults(order())
    assert checker._process is None


async def test_long_messages_are_not_checked(checker: Checker) -> None:
    [fault] = await checker.faults("x" * (LONGEST + 1))
    assert "not checked" in fault.text
    assert checker._process is None
