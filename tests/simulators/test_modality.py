"""The modality simulator with DCMTK's worklist server and Orthanc, and the studies that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from bench.ports import free_port
from gateway.errors import Rejected, Unavailable
from gateway.simulators import modality, studies
from gateway.simulators.ris import Exam, orders
from tests.peers.dcmtk import echoscu, findscu, storescp, storescu, wlmscpfs
from tests.peers.orthanc import Orthanc

ORDERS = list(orders(3, 10))
IN_CT_MR_US_CR = ("CT", "MR", "US", "CR")


def item_of(order: Exam) -> Dataset:
    """The worklist item of an order, with the keys of PS3.4 table K.6-1 that a server must return."""
    step = Dataset()
    step.Modality = order.modality
    step.ScheduledStationAETitle = "MODALITY"
    step.ScheduledProcedureStepStartDate = f"{order.start:%Y%m%d}"
    step.ScheduledProcedureStepStartTime = f"{order.start:%H%M%S}"
    step.ScheduledPerformingPhysicianName = ""
    step.ScheduledProcedureStepDescription = order.procedure
    step.ScheduledProcedureStepID = order.step_id
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.AccessionNumber = order.accession_number
    item.ReferringPhysicianName = order.physician
    item.PatientName = order.patient_name
    item.PatientID = order.patient_id
    item.IssuerOfPatientID = "RIS"
    item.PatientBirthDate = f"{order.birth_date:%Y%m%d}"
    item.PatientSex = order.sex
    item.StudyInstanceUID = order.study_uid
    item.RequestedProcedureID = f"RP{order.accession_number}"
    item.RequestedProcedureDescription = order.procedure
    item.RequestedProcedurePriority = "ROUTINE"
    item.ScheduledProcedureStepSequence = [step]
    item.file_meta = FileMetaDataset()
    item.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.31")
    item.file_meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return item


@pytest.fixture(scope="module")
def worklist() -> Iterator[int]:
    with wlmscpfs(item_of(order) for order in ORDERS) as port:
        yield port


async def test_a_query_without_keys_gets_every_item(worklist: int) -> None:
    items = await modality.query("127.0.0.1", worklist, called_ae="WORKLIST")
    assert {str(item.AccessionNumber) for item in items} == {order.accession_number for order in ORDERS}
    assert {str(item.PatientName) for item in items} == {order.patient_name for order in ORDERS}


@pytest.mark.parametrize("key", ["modality", "patient_id", "accession_number"])
async def test_a_key_chooses_one(worklist: int, key: str) -> None:
    order = ORDERS[4]
    [item] = await modality.query("127.0.0.1", worklist, called_ae="WORKLIST", **{key: getattr(order, key)})
    assert str(item.StudyInstanceUID) == order.study_uid
    assert str(item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID) == order.step_id


async def test_a_day_without_steps_gets_none(worklist: int) -> None:
    day = f"{ORDERS[0].start:%Y%m%d}"
    assert len(await modality.query("127.0.0.1", worklist, called_ae="WORKLIST", date=day)) == 10
    assert await modality.query("127.0.0.1", worklist, called_ae="WORKLIST", date="19990101") == []


async def test_findscu_gets_what_the_modality_gets(worklist: int) -> None:
    order = ORDERS[1]
    ours = await modality.query("127.0.0.1", worklist, called_ae="WORKLIST", patient_id=order.patient_id)
    theirs = await findscu(
        worklist, f"PatientID={order.patient_id}", "AccessionNumber", "StudyInstanceUID", called_ae="WORKLIST"
    )
    assert [str(item.AccessionNumber) for item in theirs.items] == [order.accession_number]
    assert [str(item.StudyInstanceUID) for item in theirs.items] == [str(ours[0].StudyInstanceUID)]
    assert theirs.status == "Success"


async def test_an_unreachable_peer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await modality.query("127.0.0.1", free_port(), timeout=5)


async def test_the_exam_of_a_worklist_item_arrives_in_an_archive(worklist: int, orthanc: Orthanc) -> None:
    items = await modality.query("127.0.0.1", worklist, called_ae="WORKLIST")
    assert (await echoscu(orthanc.dicom_port, called_ae="ORTHANC")).returncode == 0
    for item in items:
        study = studies.perform(item, series=2, instances=3)
        assert await modality.send("127.0.0.1", orthanc.dicom_port, study, called_ae="ORTHANC") == 6
    counts = await orthanc.statistics()
    assert (counts.patients, counts.studies, counts.series, counts.instances) == (10, 10, 20, 60)


async def test_files_pass_through_storescu_and_orthanc(tmp_path: Path, orthanc: Orthanc) -> None:
    sent, arrived = tmp_path / "sent", tmp_path / "arrived"
    sent.mkdir()
    arrived.mkdir()
    made = studies.perform(item_of(ORDERS[0]), series=1, instances=4)
    for number, dataset in enumerate(made):
        dataset.save_as(sent / f"{number}.dcm", enforce_file_format=True)
    done = await storescu(orthanc.dicom_port, sent, called_ae="ORTHANC")
    assert done.returncode == 0, done.stderr
    with storescp(arrived) as port:
        report = await orthanc.send_to("STORESCP", port)
    assert (report["InstancesCount"], report["FailedInstancesCount"]) == (4, 0)
    got = {str(dcmread(path).SOPInstanceUID): dcmread(path).PixelData for path in arrived.iterdir()}
    assert got == {str(dataset.SOPInstanceUID): dataset.PixelData for dataset in made}


async def test_orthanc_takes_uploads(tmp_path: Path, orthanc: Orthanc) -> None:
    paths = [tmp_path / "1.dcm", tmp_path / "2.dcm"]
    for path, dataset in zip(paths, studies.perform(item_of(ORDERS[0]), series=1, instances=2), strict=True):
        dataset.save_as(path, enforce_file_format=True)
    assert len(set(await orthanc.upload(*paths))) == 2
    assert (await orthanc.statistics()).instances == 2


async def test_an_instance_that_is_refused_is_named(tmp_path: Path) -> None:
    first, second = studies.perform(item_of(ORDERS[0]), series=1, instances=2)
    second.SOPClassUID = UID("2.25.123")  # of no storage server
    with (
        storescp(tmp_path) as port,
        pytest.raises(Rejected, match=rf"{second.SOPInstanceUID} answered 0122"),
    ):
        await modality.send("127.0.0.1", port, [first, second], called_ae="STORESCP")


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.modality)
def test_a_study_carries_patient_and_order(order: Exam, tmp_path: Path) -> None:
    made = studies.perform(item_of(order), series=3, instances=2)
    assert len({dataset.SOPInstanceUID for dataset in made}) == 6
    assert len({dataset.SeriesInstanceUID for dataset in made}) == 3
    for dataset in made:
        dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
        read = dcmread(tmp_path / "one.dcm")
        assert read == dataset
        assert (read.StudyInstanceUID, read.AccessionNumber) == (order.study_uid, order.accession_number)
        assert (str(read.PatientName), read.PatientID) == (order.patient_name, order.patient_id)
        assert read.Modality == order.modality
        assert read.StudyTime == f"{order.start:%H%M%S}"
        [request] = read.RequestAttributesSequence
        assert request.ScheduledProcedureStepID == order.step_id
        assert len(read.PixelData) == read.Rows * read.Columns * read.BitsAllocated // 8
        assert UID(read.SOPInstanceUID).is_valid
    secondary = made[0].SOPClassUID.name == "Secondary Capture Image Storage"
    assert secondary == (order.modality not in IN_CT_MR_US_CR)


def test_a_study_grows_by_the_same_uids() -> None:
    item = item_of(ORDERS[0])
    small = {dataset.SOPInstanceUID for dataset in studies.perform(item, series=1, instances=2)}
    large = {dataset.SOPInstanceUID for dataset in studies.perform(item, series=2, instances=3)}
    assert small < large
    assert len(large) == 6


def test_data_sets_share_nothing() -> None:
    first, second = studies.perform(item_of(ORDERS[0]), series=1, instances=2)
    first.PatientID = "changed"
    assert second.PatientID == ORDERS[0].patient_id
