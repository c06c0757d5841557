"""Station 3: the worklist as DCMTK sees it. The rules themselves are walked in tests/worklist/test_matching.py."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc

from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import build_context
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined,unused-ignore]
from sqlalchemy import Connection, select, update

from gateway.config.dicom import Dicom
from gateway.config.hl7 import Hl7, Listener
from gateway.simulators import ris
from gateway.store import worklist
from gateway.store.schema import queries, query_matches, steps
from gateway.worklist.prefilter import Prefilter
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import send
from tests.peers.dcmtk import findscu
from tests.wire.dimse.peers import associated

STEP = "ScheduledProcedureStepSequence[0]."


@sqlite
async def test_only_what_was_asked_for_is_returned(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm())
        found = await findscu(gateway.dicom_port, "PatientName", "ConfidentialityCode", f"{STEP}Modality")
        [item] = found.items
        assert found.status.startswith("Success")
        assert {element.keyword for element in item} == {
            "PatientName", "ConfidentialityCode", "ScheduledProcedureStepSequence",
        }  # fmt: skip
        assert [element.keyword for element in item.ScheduledProcedureStepSequence[0]] == ["Modality"]


MATCHES = {
    f"{STEP}ScheduledStationAETitle=CT1": True,
    f"{STEP}ScheduledStationAETitle=CT*": True,
    f"{STEP}Modality=CT": True,
    f"{STEP}Modality=MR": False,
    f"{STEP}ScheduledProcedureStepStartDate=20301124": True,
    f"{STEP}ScheduledProcedureStepStartDate=20301125-": False,
    f"{STEP}ScheduledProcedureStepStartDate=20301120-20301130": True,
    f"{STEP}ScheduledPerformingPhysicianName=NOBODY": False,
    "PatientName=muster*": True,
    "PatientName=MUSTER": False,
    "PatientID=PAT1": True,
    "PatientID=PAT?": True,
    "PatientID=PAT2": False,
    "AccessionNumber=ACC1": True,
    "StudyInstanceUID=1.2.3.4.5\\1.2.3": True,
    "RequestedProcedureID=RP2": False,
}


async def test_matching_through_the_database(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm())
        found = {key: bool((await findscu(gateway.dicom_port, key)).items) for key in MATCHES}
    assert found == MATCHES


@sqlite
async def test_a_step_without_station_is_answered_with_the_asking_one(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm())
        for options, expected in (("", "SCANNER7"), ("=CT1", "CT1"), ("=CT*", "SCANNER7")):
            found = await findscu(gateway.dicom_port, f"{STEP}ScheduledStationAETitle{options}", calling_ae="SCANNER7")
            assert [one.ScheduledProcedureStepSequence[0].ScheduledStationAETitle for one in found.items] == [expected]


@sqlite
async def test_a_configured_station_is_the_only_one(start: Start) -> None:
    listeners = Hl7(listeners=[Listener(port=0, station_aes=["CT1", "CT2"])])
    async with start(hl7=listeners) as gateway:
        await send(gateway, orm())
        for station, count in (("CT1", 1), ("CT2", 1), ("CT3", 0)):
            found = await findscu(gateway.dicom_port, f"{STEP}ScheduledStationAETitle={station}")
            assert len(found.items) == count


@sqlite
async def test_names_in_their_own_letters(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm(name="M\u00dcLLER^J\u00d6RG"), orm(
            control_id="2", name="\u0160K\u0158IPEK^\u017d", patient="PAT2^^^HOSP", placer="P2", filler="F2",
            accession="ACC2", study_uid="1.2.9", procedure="RP2",
        ))  # fmt: skip
        found = await findscu(gateway.dicom_port, "PatientName", "PatientID")
        names = {str(item.PatientID): (str(item.PatientName), item.SpecificCharacterSet) for item in found.items}
        assert names["PAT1"] == ("M\u00dcLLER^J\u00d6RG", "ISO_IR 100")
        assert names["PAT2"] == ("\u0160K\u0158IPEK^\u017d", "ISO_IR 101")


@sqlite
async def test_more_than_the_limit_ends_with_out_of_resources(start: Start) -> None:
    async with start(dicom=Dicom(port=0, max_worklist_matches=3)) as gateway:
        await ris.send("127.0.0.1", gateway.hl7_ports["ris"], [one.hl7() for one in ris.orders(31, 5)])
        found = await findscu(gateway.dicom_port, "PatientID")
        assert len(found.items) == 3
        assert "OutOfResources" in found.status or "0xa700" in found.status.lower()


@sqlite
async def test_a_range_that_is_none_is_refused(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm())
        found = await findscu(gateway.dicom_port, f"{STEP}ScheduledProcedureStepStartDate=2030-11-24-12")
        assert found.items == []
        assert "a900" in found.output.lower() or "DataSetDoesNotMatch" in found.status


@sqlite
async def test_queries_are_logged_with_what_they_were_told(start: Start) -> None:
    async with start() as gateway:
        await send(gateway, orm())
        await findscu(gateway.dicom_port, "PatientID=PAT1", calling_ae="CT1")
        logged = await comes_true(lambda: gateway.store.read(lambda c: c.execute(select(queries)).mappings().all()))
        assert [(row["calling_ae"], row["status"], row["matches"]) for row in logged] == [("CT1", 0, 1)]
        assert logged[0]["keys"] == {"PatientID": "PAT1"}
        told = await gateway.store.read(lambda c: c.execute(select(query_matches)).all())
        assert len(told) == 1


@sqlite
async def test_a_status_key_shows_no_held_step_and_a_universal_one_no_cancelled(start: Start) -> None:
    status = f"{STEP}ScheduledProcedureStepStatus"
    cancelled = {"placer": "P2", "filler": "F2", "accession": "ACC2", "procedure": "RP2", "study_uid": "1.2.9"}
    async with start() as gateway:
        await send(
            gateway, orm(), orm(control="HD", control_id="2"), orm(control_id="3", **cancelled),
            orm(control="CA", control_id="4", at="20260123130000", **cancelled),
        )  # fmt: skip
        for key, found in (("", []), ("=*", []), ("=SCHEDULED", []), ("=DEPARTED", ["ACC2"])):
            items = (await findscu(gateway.dicom_port, f"{status}{key}", "AccessionNumber")).items
            assert [item.AccessionNumber for item in items] == found, key


async def test_who_stops_early_has_not_loaded_every_step(start: Start) -> None:
    """Of 3000 steps the first costs the memory of a part of them, not of them all."""

    def many(connection: Connection) -> None:
        connection.execute(update(steps), {"attributes": {"CommentsOnTheScheduledProcedureStep": "x" * 2000}})
        [row] = connection.execute(select(steps)).mappings().all()
        copies = [{**row, "id": row["id"] + n, "step_id": f"COPY{n}"} for n in range(1, 3000)]
        connection.execute(steps.insert(), copies)

    def peak(connection: Connection, wanted: int | None) -> int:
        tracemalloc.start()
        try:
            found = worklist.candidates(connection, Prefilter(), worklist.Visibility(()))
            taken = list(itertools.islice(found, wanted))
            assert len(taken) == (wanted or 3000)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    async with start() as gateway:
        await send(gateway, orm())
        await gateway.store.write(many)
        one = await gateway.store.read(lambda connection: peak(connection, 1))
        every = await gateway.store.read(lambda connection: peak(connection, None))
        assert one < every / 2


SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@sqlite
async def test_answers_in_each_transfer_syntax(start: Start) -> None:
    identifier = Dataset()
    identifier.AccessionNumber = "ACC1"
    identifier.PatientName = ""
    identifier.PregnancyStatus = None
    identifier.RequestedProcedureCodeSequence = []
    identifier.ScheduledProcedureStepSequence = []

    def ask(port: int, syntax: UID) -> Dataset:
        with associated(port, build_context(ModalityWorklistInformationFind, syntax)) as association:
            (_, found), _ = association.send_c_find(identifier, ModalityWorklistInformationFind)
            assert isinstance(found, Dataset)
            return found

    async with start() as gateway:
        raw = orm(name="M\u00dcLLER^J\u00d6RG", charset="8859/1").replace(
            b"^REFERRER^RITA", b"^REFERRER^RITA||||||||B6"
        )
        await send(gateway, raw)
        for syntax in SYNTAXES:
            found = await asyncio.to_thread(ask, gateway.dicom_port, syntax)
            assert str(found.PatientName) == "M\u00dcLLER^J\u00d6RG", syntax
            assert found.RequestedProcedureCodeSequence[0].CodeValue == "CTH", syntax
            assert found.PregnancyStatus == 3, syntax
            assert found.ScheduledProcedureStepSequence[0].Modality == "CT", syntax
