"""Corrections of studies that EHRs have: each leads to the right next version. One gateway for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.assembly import process as app
from gateway.config.site import Site
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.rejection import KEY_OBJECT_SELECTION
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing, study_findings
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import adt, orm
from tests.journey.running import UNHURRIED, Start, quiet
from tests.wire.dimse.peers import HOST, PEER, instance

SR = "1.2.840.10008.5.1.4.1.1.88.11"
SITE = Site(
    name="Test site", patient_id_issuer="HOSP", identifier_systems={"HOSP": "urn:oid:2.25.1"},
    wado_rs_url="http://127.0.0.1/dicom-web",
)  # fmt: skip


@dataclass(frozen=True)
class Held:
    """What an EHR holds of a study."""

    version: int
    instances: int
    status: str = "available"
    patient: str = "P"
    name: str = "Probe"
    accession: str = "A"
    retrievable: bool = True
    description: str = "Thorax"


class Examination:
    """A study, with the numbers of the case; `image(1)` and `image(2)` come first."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.uid = f"2.25.8{number:02}"

    def image(self, number: int, *, series: int = 1, **changes: Any) -> Dataset:
        made = instance()
        made.StudyInstanceUID, made.SeriesInstanceUID = self.uid, f"{self.uid}.{series}"
        made.SOPInstanceUID, made.InstanceNumber = f"{self.uid}.9.{number}", number
        made.PatientID, made.PatientName, made.Modality = f"P{self.number}", "Probe", "CT"
        made.IssuerOfPatientID, made.AccessionNumber = "HOSP", f"A{self.number}"
        made.StudyDescription = "Thorax"
        for keyword, value in changes.items():
            setattr(made, keyword, value)
        return made

    def note(self, title: str, *rejected: int) -> Dataset:
        """A rejection note."""
        made = self.image(900 + int(title[-2:]), series=9, SOPClassUID=KEY_OBJECT_SELECTION, Modality="KO")
        code, study, series = Dataset(), Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = title, "DCM", "Rejected"
        series.SeriesInstanceUID, series.ReferencedSOPSequence = f"{self.uid}.1", []
        for number in rejected:
            reference = Dataset()
            reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
            reference.ReferencedSOPInstanceUID = f"{self.uid}.9.{number}"
            series.ReferencedSOPSequence.append(reference)
        study.StudyInstanceUID, study.ReferencedSeriesSequence = self.uid, [series]
        made.ConceptNameCodeSequence, made.CurrentRequestedProcedureEvidenceSequence = [code], [study]
        return made

    def order(self, of: str = "A") -> bytes:
        """An order that the study answers by its accession number."""
        accession = f"{of}{self.number}"
        return orm(
            control_id=f"O{accession}", accession=accession, placer=f"PL{accession}", filler=f"FI{accession}",
            study_uid=f"{self.uid}.{ord(of)}", patient=f"P{self.number}^^^HOSP", name="Probe",
        )  # fmt: skip

    def adt(self, trigger: str, patient: str, prior: str = "") -> bytes:
        return adt(
            trigger, control_id=f"{trigger}{self.number}", patient=f"{patient}{self.number}^^^HOSP", name="Survivor",
            prior=f"{prior}{self.number}^^^HOSP" if prior else "", at="20260124120000",
        )  # fmt: skip


Sent = Sequence[Dataset | bytes]


@dataclass(frozen=True)
class Case:
    what: str
    corrections: Any
    """Of an `Examination` of which two images and the order have come: what is sent then."""
    after: Held
    before: Any = None
    """What comes first; None: the order and two images."""
    parked: bool = False


def quell(one: Examination) -> dict[str, str]:
    """Another patient."""
    return {"PatientID": f"Q{one.number}", "PatientName": "Quell"}


NOTHING = Held(2, 0, "entered-in-error", retrievable=False)
CASES = [
    Case("nothing", lambda _one: [], Held(1, 2)),
    Case("the same again", lambda one: [one.image(2), one.image(1)], Held(1, 2)),
    Case("other contents", lambda one: [one.image(1, StudyDescription="Abdomen")], Held(2, 2, description="Abdomen")),
    Case("an image more", lambda one: [one.image(3)], Held(2, 3)),
    Case("a report", lambda one: [one.image(4, series=4, SOPClassUID=SR, Modality="SR")], Held(2, 3)),
    Case("the same image in another series", lambda one: [one.image(2, series=2)], Held(2, 3)),
    Case("rejected for quality", lambda one: [one.note("113001", 2)], Held(2, 1)),
    Case("rejected for safety", lambda one: [one.note("113037", 1, 2)], NOTHING),
    Case("wrong entry", lambda one: [one.note("113038", 1, 2)], NOTHING),
    Case("expired", lambda one: [one.note("113039", 1, 2)], Held(2, 2, retrievable=False)),
    Case("expired in part", lambda one: [one.note("113039", 2)], Held(1, 2)),
    Case(
        "rejected before it comes",
        lambda _one: [],
        Held(1, 1),
        before=lambda one: [one.order(), one.note("113001", 2), one.image(2), one.image(1)],
    ),
    Case("rejected, and sent again", lambda one: [one.note("113001", 2), one.image(2, InstanceNumber=7)], Held(2, 1)),
    Case(
        "the first image is of another patient, and rejected",
        lambda one: [one.note("113038", 1), one.image(3)],
        Held(1, 2),
        before=lambda one: [one.order(), one.image(1, PatientID="WRONG", PatientName="Wrong"), one.image(2)],
    ),
    Case(
        "another patient, all sent again",
        lambda one: [one.image(n, **quell(one), AccessionNumber=f"C{one.number}") for n in (1, 2)],
        Held(2, 2, patient="Q", name="Quell", accession="C"),
    ),
    Case(
        "another patient than the order's, all sent again",
        lambda one: [one.image(n, **quell(one)) for n in (1, 2)],
        Held(1, 2),
        parked=True,
    ),
    Case(
        "another patient, some sent again",
        lambda one: [one.image(2, **quell(one))],
        Held(1, 2),
        parked=True,
    ),
    Case(
        "another accession number, all sent again",
        lambda one: [one.order("B"), *(one.image(n, AccessionNumber=f"B{one.number}") for n in (1, 2))],
        Held(2, 2, accession="B"),
    ),
    Case("a name that ADT changes, and images do not", lambda one: [one.adt("A08", "P")], Held(1, 2)),
    Case("another Patient ID by ADT", lambda one: [one.adt("A47", "S", "P")], Held(2, 2, patient="S", name="Survivor")),
    Case(
        "a merge between two images",
        lambda one: [
            one.image(3),
            one.adt("A40", "S", "P"),
            one.image(4, PatientID=f"S{one.number}", PatientName="Survivor"),
        ],
        Held(2, 4, patient="S", name="Survivor"),
    ),
]


async def _send(gateway: app.Running, sent: Sent) -> None:
    async with MllpClient(HOST, gateway.hl7_ports["ris"]) as ris:
        for one in sent:
            if isinstance(one, bytes):
                assert b"MSA|AA" in await ris.send(one)
            else:
                assert [status for _, status in await client.store(HOST, gateway.dicom_port, [one], **PEER)] == [0]


def _held(ehr: EhrSimulator, number: int) -> Held | None:
    """What of the case the EHR holds, its own number taken off."""
    uid = f"urn:oid:2.25.8{number:02}"
    found = [one for one in ehr.resources("ImagingStudy") if uid in {item["value"] for item in one["identifier"]}]
    if not found:
        return None
    [one] = found
    orders = [order["identifier"]["value"] for order in one.get("basedOn", [])]
    return Held(
        int(one["meta"]["versionId"]), one["numberOfInstances"], one["status"],
        one["subject"]["identifier"]["value"].removesuffix(str(number)), one["subject"].get("display", ""),
        (orders[0] if orders else "").removesuffix(str(number)), "endpoint" in one, one["description"],
    )  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_each_correction_leads_to_its_version(start: Start) -> None:
    """What a version says follows from rows: the databases are compared by the other journeys."""
    examinations = {one.what: Examination(number) for number, one in enumerate(CASES, 10)}
    async with EhrSimulator() as ehr, start(ehr.url, site=SITE, studies=UNHURRIED) as gateway:
        for case in CASES:
            one = examinations[case.what]
            await _send(gateway, [one.order(), one.image(1), one.image(2)] if case.before is None else case.before(one))
        await quiet(gateway)
        for case in CASES:
            await _send(gateway, case.corrections(examinations[case.what]))
        await quiet(gateway)
        wrong = {
            case.what: (held, case.after)
            for case in CASES
            if (held := _held(ehr, examinations[case.what].number)) != case.after
        }
        stuck = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
        twin = StudyInstanceUID(examinations["the same image in another series"].uid)
        findings = await gateway.store.read(lambda one: study_findings.shared_by(one, twin))
    assert wrong == {}
    assert {row["subject"] for row in stuck} == {examinations[case.what].uid for case in CASES if case.parked}
    assert [one.text for one in findings] == ["1 instance is in more than one series of this study"]
