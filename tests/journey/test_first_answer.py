"""The first answer that holds a step is the same as those that follow, and none holds what is no longer so."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from gateway.assembly import process as app
from gateway.journey.worklist import station
from tests.journey.messages import adt, orm
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import send
from tests.journey.test_scanner_rules import overlay
from tests.journey.test_worklist_character_sets import CHINESE, HALF_WIDTH, JAPANESE, KOREAN, xpn
from tests.web.dicomweb.client import client_of
from tests.wire.dimse.raw_peer import WORKLIST, associate_rq, connected, context, find_rq

NAMES: Final = ("Plain^Ann", "Müller^Jörg", "Дворжак^Антон", JAPANESE, HALF_WIDTH, KOREAN, CHINESE)
RULES: Final = """
LATIN: {character_sets: [ISO_IR 100], unencodable: transliterate, never: [PatientBirthDate]}
PLAIN: {names: plain, character_sets: ['\\ISO 2022 IR 87', ISO_IR 144]}
ALWAYS: {always: {PatientComments: Größe, ScheduledProcedureStepSequence.ScheduledStationName: ROOM}}
"""
SCANNERS: Final = ("ANY", "LATIN", "PLAIN", "ALWAYS")
SETS: Final = ("", "ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "GB18030")
Case = tuple[str, str, str]
"""Scanner, character set of its query, transfer syntax."""
SYNTAXES: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def query(character_set: str, *, explicit: bool) -> bytes:
    """Attributes of every kind: texts, a number, sequences with keys and without."""
    identifier, step = Dataset(), Dataset()
    if character_set:
        identifier.SpecificCharacterSet = character_set.split("\\")
    for keyword in ("AccessionNumber", "PatientName", "PatientID", "PatientBirthDate", "PatientComments"):
        setattr(identifier, keyword, "")
    identifier.PregnancyStatus = None
    identifier.RequestedProcedureCodeSequence = []
    step.Modality = step.ScheduledStationAETitle = step.ScheduledPerformingPhysicianName = ""
    identifier.ScheduledProcedureStepSequence = [step]
    made: bytes | None = encode(identifier, is_implicit_vr=not explicit, is_little_endian=True)
    assert made is not None
    return made


async def asked(gateway: app.Running, scanner: str, character_set: str, syntax: str) -> list[bytes]:
    """The identifiers of the answers, as they came."""
    async with connected(gateway.dicom_port) as peer:
        peer.send(associate_rq(calling=scanner.encode(), contexts=context(3, WORKLIST, syntax), max_bytes=0))
        assert (await peer.read())[0] == 0x02
        peer.send(find_rq(identifier=query(character_set, explicit=syntax == ExplicitVRLittleEndian)))
        found: list[bytes] = []
        while (command := await peer.read())[-2:] == b"\x00\xff":
            found.append((await peer.read())[12:])
        assert command[-2:] == b"\0\0", "Success"
        return found


@sqlite
async def test_first_and_later_answers_of_every_scanner_and_character_set(start: Start, tmp_path: Path) -> None:
    cases = list(itertools.product(SCANNERS, SETS, SYNTAXES))

    async def rounds(gateway: app.Running, order: Sequence[Case]) -> dict[Case, list[bytes]]:
        station.kept_items.cache_clear()
        first = {case: await asked(gateway, *case) for case in order}
        assert {case: await asked(gateway, *case) for case in order} == first
        return first

    async with start(mappings=overlay(tmp_path, RULES)) as gateway:
        await send(gateway, *(order(number, name) for number, name in enumerate(NAMES)))
        found = await rounds(gateway, cases)
        assert await rounds(gateway, cases[::-1]) == found, "whoever else has asked before"
    for (_, _, syntax), answers in found.items():
        items = [read_dataset(BytesIO(one), syntax == ImplicitVRLittleEndian, True) for one in answers]
        assert [one.PatientID for one in items] == [f"PAT{number}" for number in range(len(NAMES))]


def order(number: int, name: str) -> bytes:
    return orm(
        control_id=f"M{number}", patient=f"PAT{number}^^^HOSP", placer=f"P{number}", filler=f"F{number}",
        accession=f"ACC{number}", procedure=f"RP{number}", step=f"S{number}", study_uid=f"1.2.{number}",
        name=xpn(name), charset="UNICODE UTF-8",
    )  # fmt: skip


Change = Callable[[], bytes]
CHANGES: Final[Sequence[tuple[Change, str]]] = (
    (lambda: orm(name="OLD^NAME", at="20260123120000"), "OLD^NAME CT"),
    (lambda: orm(control="XO", control_id="M2", modality="MR", name="OLD^NAME", at="20260123130000"), "OLD^NAME MR"),
    (lambda: adt("A08", name="NEW^NAME", at="20260123140000"), "NEW^NAME MR"),
    (lambda: orm(control="HD", control_id="M3", status="HD", at="20260123150000"), ""),
    (lambda: orm(control="RL", control_id="M4", status="SC", at="20260123160000"), "NEW^NAME MR"),
    (lambda: orm(control="CA", control_id="M5", status="CA", at="20260123170000"), ""),
)


async def worklist_of(gateway: app.Running) -> set[str]:
    """What scanners see, over DIMSE and over the web, in both transfer syntaxes."""
    seen = set()
    for syntax in SYNTAXES:
        answers = await asked(gateway, "ANY", "", syntax)
        items = [read_dataset(BytesIO(one), syntax == ImplicitVRLittleEndian, True) for one in answers]
        seen.add(" ".join(f"{one.PatientName} {one.ScheduledProcedureStepSequence[0].Modality}" for one in items))
    async with client_of(gateway, "ANY") as client:
        answer = await client.search()
        results = answer.json if answer.status == 200 else []
        names = [one["00100010"]["Value"][0]["Alphabetic"] for one in results]
        modalities = [one["00400100"]["Value"][0]["00080060"]["Value"][0] for one in results]
    return seen | {" ".join(f"{name} {modality}" for name, modality in zip(names, modalities, strict=True))}


@sqlite
async def test_a_change_between_two_queries_is_seen_by_the_second(start: Start) -> None:
    async with start() as gateway:
        for change, seen in CHANGES:
            await send(gateway, change())
            assert await worklist_of(gateway) == {seen}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_change_at_one_gateway_is_seen_at_the_other(start: Start) -> None:
    async with start() as first, start() as second:
        for number, (change, seen) in enumerate(CHANGES):
            await send((first, second)[number % 2], change())
            assert [await worklist_of(one) for one in (first, second)] == [{seen}, {seen}]
