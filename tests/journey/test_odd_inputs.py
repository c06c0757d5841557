"""Odd input that real sites send, and what is right for it: a table of messages and one of images.

The inputs are made here after the shape of public reports. Every row states what the worklist, the answer or the EHR
must hold; what fails is named by its row.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLosslessSV1
from sqlalchemy import Connection, func, select

from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.config.site import Site
from gateway.simulators.ehr import EhrSimulator
from gateway.store import messages, outbox_listing
from gateway.store.schema import patients, steps
from gateway.wire.dimse import Caller, StoreRequest
from tests.journey.messages import adt, apart, orm
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_scheduling import outcomes
from tests.peers.pynetdicom_scu import associate, exchange


@dataclass(frozen=True)
class Held:
    """What a conversation left."""

    codes: list[str]
    patient: dict[str, Any]
    step: dict[str, Any]
    findings: list[str]
    """Places."""


def changed(before: str, after: str, **fields: str) -> bytes:
    raw = orm(**fields).decode()
    assert before in raw
    return raw.replace(before, after).encode()


def without(raw: bytes, segment: str) -> bytes:
    return b"".join(line + b"\r" for line in raw.split(b"\r") if line and not line.startswith(segment.encode()))


CHANGE = {"control": "XO", "control_id": "MSG2", "at": "20260123130000", "start": "20301125100000"}
CANCEL = {"control": "CA", "status": "CA", "control_id": "MSG2", "at": "20260123130000"}
Row = tuple[str, list[bytes], Callable[[Held], bool]]
MESSAGES: list[Row] = [
    ("null name in A08", [orm(), adt("A08", name='""', at="20260123130000")],
     lambda held: held.codes == ["AA", "AA"] and held.patient["PatientName"] == "MUSTER^MAX"),
    ("null name in A28, then an order", [adt("A28", name='""'), orm()],
     lambda held: held.codes == ["AA", "AA"] and held.patient["PatientName"] == "MUSTER^MAX"),
    ("birth date 19460000", [changed("19800102", "19460000")],
     lambda held: held.codes == ["AA"] and "PatientBirthDate" not in held.patient and held.findings == ["PID-7"]),
    ("birth date 00000000 in A08", [orm(), adt("A08", birth="00000000", name="ROE^MAX", at="20260123130000")],
     lambda held: held.patient["PatientName"] == "ROE^MAX" and held.patient["PatientBirthDate"] == "19800102"),
    ("PID-3 begins with a null", [changed("PAT1^^^HOSP|", '""^^^NLRDW^DL~PAT1^^^HOSP^PI|')],
     lambda held: held.patient["PatientID"] == "PAT1"),
    ("PID-3 begins with another authority's number", [changed("PAT1^^^HOSP|", "900-00-0001^^^SSA^SS~PAT1^^^HOSP^MR|")],
     lambda held: (held.patient["PatientID"], held.patient["IssuerOfPatientID"]) == ("PAT1", "HOSP")),
    ("no identifier of the site", [changed("PAT1^^^HOSP|", "A^^^X^ZZ~B^^^Y^YY|")],
     lambda held: held.patient["PatientID"] == "A" and "PID-3" in held.findings),
    ("a change leaves out modality and code",
     [orm(), changed("CTH^CT head^99RIS", "", **CHANGE).replace(b"|SPS1||||CT|", b"|SPS1|||||")],
     lambda held: (held.codes, held.step["start_date"], held.step["modality"]) == (["AA", "AA"], "20301125", "CT")),
    ("a change leaves out the name", [orm(), changed("MUSTER^MAX", "", **CHANGE)],
     lambda held: held.codes == ["AA", "AA"] and held.step["start_date"] == "20301125"),
    ("MSH-18 names no set", [orm(charset="").replace(b"2.3.1||||||", b"2.3.1||||||encoding")],
     lambda held: held.codes == ["AA"] and held.findings == ["MSH-18"]),
    ("NUL at the end", [orm() + b"\0"], lambda held: held.codes == ["AA"]),
    ("PV1-19 of 70 characters", [changed("PV1|1|O|||||^REFERRER^RITA", "PV1|1|O" + "|" * 17 + "V" * 70)],
     lambda held: held.codes == ["AA"] and "AdmissionID" not in held.patient and held.findings == ["PV1-19.1"]),
    ("a cancel with a code of table 0074 in OBR-24", [orm(), orm(modality="RAD", **CANCEL)],
     lambda held: held.codes == ["AA", "AA"] and held.step["state"] == "CANCELED"),
    ("birth date 1946", [changed("19800102", "1946")],
     lambda held: held.codes == ["AA"] and "PatientBirthDate" not in held.patient and held.findings == ["PID-7"]),
    ("a change without PID", [orm(), without(orm(**CHANGE), "PID")],
     lambda held: (held.codes, held.step["start_date"], held.patient["PatientName"])
     == (["AA", "AA"], "20301125", "MUSTER^MAX")),
    ("a change without PID of an order that never came", [without(orm(**CHANGE), "PID")],
     lambda held: held.codes == ["AE"] and held.findings == ["PID"] and not held.step),
    ("a cancel without PID", [orm(), without(orm(**CANCEL), "PID")],
     lambda held: held.codes == ["AA", "AA"] and held.step["state"] == "CANCELED"),
    ("a status of an unknown order", [orm(control="SC", status="IP", filler="", accession="", study_uid="")],
     lambda held: held.codes == ["AA"] and held.findings == ["ORC[1]-2"]),
    ("a status of an unknown order that tells two numbers", [orm(control="SC", status="IP")],
     lambda held: held.codes == ["AA"] and held.findings == ["ORC[1]-1"] and not held.step),
    ("NDL with times in OBR-34",
     [changed("^^R\rZDS", "^^R" + "|" * 7 + "T12^20301124093000^20301124100000^RAD^ROOM3\rZDS")],
     lambda held: held.codes == ["AA"] and "ScheduledPerformingPhysicianName" not in held.step["attributes"]),
    ("a surname beside the own surname", [changed("MUSTER^MAX", "Jansen-de Vries&de&Vries&&Jansen^Anna")],
     lambda held: held.patient["PatientName"] == "Jansen-de Vries^Anna"),
    ("a surname without its first part", [changed("MUSTER^MAX", "&de&Vries^Jan")],
     lambda held: held.patient["PatientName"] == "de Vries^Jan"),
    ("a surname that is the partner's alone", [changed("MUSTER^MAX", "&&&van&Dijk^Anna")],
     lambda held: held.patient["PatientName"] == "van Dijk^Anna"),
]  # fmt: skip


@sqlite
async def test_messages(start: Start) -> None:
    async with start(site=Site(patient_id_issuer="HOSP")) as gateway:
        wrong = {}
        for number, (name, sent, right) in enumerate(MESSAGES):
            before = await gateway.store.read(newest)
            answers = await outcomes(gateway, *(apart(raw, number) for raw in sent))
            held = await gateway.store.read(partial(left, codes=answers, number=number, before=before))
            if not right(held):
                wrong[name] = held
    assert wrong == {}


def newest(connection: Connection) -> tuple[int, int]:
    """The ids of the patient and of the step that came last."""
    patient, step = (connection.execute(select(func.max(one.c.id))).scalar_one() for one in (patients, steps))
    return patient or 0, step or 0


def left(connection: Connection, codes: list[str], number: int, before: tuple[int, int]) -> Held:
    """What the row with this number left, which made its messages `apart`."""
    people = connection.execute(
        select(patients.c.attributes).where(patients.c.merged_into.is_(None), patients.c.id > before[0])
    )
    rows = connection.execute(select(steps).where(steps.c.id > before[1])).mappings()
    patient = {keyword: str(value).removesuffix(f"X{number}") for keyword, value in next(people, [{}])[0].items()}
    last = messages.listing(connection)[0]
    return Held(codes, patient, dict(next(rows, {})), [finding["place"] for finding in last["findings"]])


# Images


CAPTURE, RETIRED = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.6"
"""Secondary Capture, and Ultrasound Image Storage as it was until 1994."""
CALLER = Caller("ODD", "GATEWAY", "127.0.0.1")
FIRST = 1000
"""A number of four digits for each image, in its UIDs and for `ODD1`: an image keeps its length."""


def image(**more: Any) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CAPTURE, f"2.25.{FIRST}.1.1"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20260123", "093000", "ODD1"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "OT", "DOE^ODD", "ODD1"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"2.25.{FIRST}", f"2.25.{FIRST}.1"
    dataset.SeriesNumber = "1"
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def encoded(dataset: Dataset) -> bytes:
    """The data set as it goes over the wire, explicit VR little endian."""
    whole = DicomBytesIO()
    whole.is_implicit_VR, whole.is_little_endian = False, True
    write_dataset(whole, dataset)
    return whole.getvalue()


def with_icon() -> bytes:
    icon = Dataset()
    icon.Rows = icon.Columns = 8
    icon.PixelData = encapsulate([b"\xff\xd8" + bytes(range(60)) + b"\xff\xd9"])
    icon["PixelData"].is_undefined_length = True
    icon["PixelData"].VR = "OB"
    dataset = image(IconImageSequence=Sequence([icon]))
    dataset.PixelData = encapsulate([b"\xff\xd8" + bytes(80) + b"\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    return encoded(dataset)


def replaced(before: bytes, after: bytes, **more: Any) -> bytes:
    raw = encoded(image(**more))
    assert raw.count(before) == 1
    return raw.replace(before, after)


Image = tuple[str, bytes, UID, Callable[[dict[str, Any], dict[str, Any]], bool]]
"""Name, data set, transfer syntax, and what is right of the ImagingStudy and the Patient."""
PLAIN = ExplicitVRLittleEndian
IMAGES: list[Image] = [
    ("an icon with encapsulated pixels", with_icon(), JPEGLosslessSV1, lambda study, _: bool(study)),
    ("birth date 19460000", encoded(image(PatientBirthDate="19460000")), PLAIN,
     lambda _, patient: patient["birthDate"] == "1946"),
    ("birth date 19700000", encoded(image(PatientBirthDate="00000000")), PLAIN,
     lambda _, patient: "birthDate" not in patient),
    ("an accession number of control characters", replaced(b"ODD1\x08\x00\x60", b"\x01\x02\x03\x04\x08\x00\x60"), PLAIN,
     lambda study, _: len(study["identifier"]) == 1 and "basedOn" not in study),
    ("a body part of control characters", replaced(b"CHST", b"\x01\x02\x03\x04", BodyPartExamined="CHST"), PLAIN,
     lambda study, _: "bodySite" not in study["series"][0]),
    ("a name of carets", encoded(image(PatientName="^^^^")), PLAIN, lambda study, _: "display" not in study["subject"]),
    ("a Patient ID of two values", replaced(b"OD1\\", b"OD1\\", PatientID="OD1\\OD2"), PLAIN,
     lambda study, _: study["subject"]["identifier"]["value"] == "OD1"),
    ("a VR that is none", replaced(b"\x18\x00\x20\x10LO", b"\x18\x00\x20\x10\x06\x00", SoftwareVersions="AB"), PLAIN,
     lambda study, _: bool(study)),
    ("Windows-1252 in Latin-1",
     replaced(b"NOVAKOVI_", b"NOVAKOVI\x8a", PatientName="NOVAKOVI_", SpecificCharacterSet="ISO_IR 100"), PLAIN,
     lambda _, patient: patient["name"][0]["family"] == "NOVAKOVIŠ"),
    ("Latin-9", replaced(b"_uro", b"\xa4uro", PatientName="_uro", SpecificCharacterSet="ISO_IR 203"), PLAIN,
     lambda _, patient: patient["name"][0]["family"] == "€uro"),
    ("UTF-8 that nothing declares",
     replaced(b"M__ller", "Müller".encode(), PatientName="M__ller", SpecificCharacterSet=""), PLAIN,
     lambda _, patient: patient["name"][0]["family"] == "Müller"),
    ("a time of seven digits", encoded(image(StudyTime="0930005")), PLAIN,
     lambda study, _: study["started"].startswith("2026-01-23T09:30:00")),
    ("dates and times of ACR-NEMA",
     encoded(image(StudyDate="2026.01.23", StudyTime="09:30:00", PatientBirthDate="1946.01.02")), PLAIN,
     lambda study, patient: (study["started"][:19], patient["birthDate"]) == ("2026-01-23T09:30:00", "1946-01-02")),
    ("an element of the command set at the beginning",
     b"\x00\x00\x00\x01US\x02\x00\x01\x00" + encoded(image()), PLAIN, lambda study, _: bool(study)),
    ("laterality unpaired", encoded(image(Laterality="U")), PLAIN,
     lambda study, _: "laterality" not in study["series"][0]),
    ("a modality in small letters", encoded(image(Modality="ct")), PLAIN,
     lambda study, _: study["series"][0]["modality"]["code"] == "CT"),
    ("a modality that is none", encoded(image(Modality="C  T")), PLAIN,
     lambda study, _: study["series"][0]["modality"]["code"] == "OT"),
    ("a modality of two values", encoded(image(Modality=["CT", "PT"])), PLAIN,
     lambda study, _: study["series"][0]["modality"]["code"] == "CT"),
    ("a retired image class", encoded(image(SOPClassUID=RETIRED)), PLAIN, lambda study, _: bool(study)),
]  # fmt: skip


@sqlite
async def test_images(start: Start) -> None:
    async with EhrSimulator() as ehr:
        ehrs = [Ehr(name="main", url=ehr.url, patient="create", retry=Retry(first_seconds=0.1, max_seconds=0.5))]
        async with start(ehrs=ehrs, site=Site(patient_id_issuer="HOSP")) as gateway:
            for number, (name, data, syntax, _) in enumerate(IMAGES, FIRST):
                sop_class = RETIRED if f"{RETIRED}\0".encode() in data else CAPTURE
                own = data.replace(b"2.25.%d" % FIRST, b"2.25.%d" % number).replace(b"ODD1", b"%d" % number)
                request = StoreRequest(CALLER, sop_class, f"2.25.{number}.1.1", str(syntax), own)
                assert await asyncio.to_thread(store, gateway.dicom_port, request) == 0, name
            await quiet(gateway)
            stuck = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
            assert stuck == []
        people = {f"Patient/{one['id']}": one for one in ehr.resources("Patient")}
        studies = {value["value"]: one for one in ehr.resources("ImagingStudy") for value in one["identifier"]}
    wrong = {}
    for number, (name, _, _, right) in enumerate(IMAGES, FIRST):
        study = studies[f"urn:oid:2.25.{number}"]
        patient = people[study["subject"]["reference"]]
        if not right(study, patient):
            wrong[name] = (study, patient)
    assert wrong == {}


def store(port: int, request: StoreRequest) -> int:
    """C-STORE of a data set byte for byte, by pynetdicom; returns the status."""
    from pynetdicom import AE
    from pynetdicom.dimse_primitives import C_STORE

    ae = AE(ae_title="ODD")
    ae.add_requested_context(request.sop_class_uid, request.transfer_syntax_uid)
    association = associate(ae, port)
    assert association.accepted_contexts, "the class is not accepted"
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 1, 2
    primitive.AffectedSOPClassUID = UID(request.sop_class_uid)
    primitive.AffectedSOPInstanceUID = UID(request.sop_instance_uid)
    primitive.DataSet = io.BytesIO(bytes(request.data))
    answer = exchange(association, primitive)
    association.release()
    return int(answer.Status)
