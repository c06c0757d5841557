"""What a modality receives on its socket for each case of MPPS, and what becomes of the worklist: a table.

Requests are bytes, as no library would check them: PS3.4 F.7.2 and F.8.2, PS3.7 10.1 and Annex C.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from gateway.config.dicom import Dicom, DicomPeer
from tests.journey.messages import orm
from tests.journey.modality import begin, end, going_on, item
from tests.journey.running import Start
from tests.journey.test_performed_step import ordered, states
from tests.wire.dimse import raw_peer

MPPS, RETRIEVE, NOTIFY = (f"1.2.840.10008.3.1.2.3.{number}" for number in (3, 4, 5))
CREATE, SET, GET = 0x0140, 0x0120, 0x0110
NAMES: Final = {CREATE: "N-CREATE", SET: "N-SET", GET: "N-GET"}
STATUS, SCHEDULED, STEP_ID, LOCATION, PATIENT_ID, SERIES, COMMENTS = (
    0x00400252, 0x00400270, 0x00400253, 0x00400243, 0x00100020, 0x00400340, 0x00400280
)  # fmt: skip
WRONG_ENTRY = "110514"


@dataclass(frozen=True)
class Case:
    """A request, what it is answered, and the states of scheduled steps after it."""

    name: str
    operation: int
    attributes: Dataset | None
    uid: str
    status: int
    error_id: int | None = None
    tags: tuple[int, ...] = ()
    steps: dict[str, str] = field(default_factory=dict)
    sop_class: str = MPPS
    calling: str = "RAW"
    asked: tuple[int, ...] = ()
    context: int = 0
    """Of the presentation; 0: that of the operation."""


def uid(number: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.{number}"


def chosen(number: int, **values: str) -> Dataset:
    """The item of the order `number`."""
    own = {"study": f"1.2.3.{number}", "step": f"SPS{number}", "accession": f"ACC{number}", "procedure": f"RP{number}"}
    return item(**{**own, **values})


def without(keyword: str) -> Dataset:
    made = begin(chosen(90))
    delattr(made, keyword)
    return made


def of(number: int, **values: Any) -> Dataset:
    return begin(chosen(number), **values)


STUDY_OF_TWO = {"SPS11": "SCHEDULED", "SPS11b": "SCHEDULED"}


def cases() -> Iterator[Case]:
    """In the order in which they are sent."""
    # N-CREATE
    yield Case(
        "created COMPLETED",
        CREATE,
        of(1, PerformedProcedureStepStatus="COMPLETED"),
        uid(1),
        0x0106,
        tags=(STATUS,),
        steps={"SPS1": "SCHEDULED"},
    )
    yield Case("created IN PROGRESS", CREATE, of(1), uid(1), 0x0000, steps={"SPS1": "STARTED"})
    yield Case("the same again, its answer was lost", CREATE, of(1), uid(1), 0x0000, steps={"SPS1": "STARTED"})
    yield Case("another under its UID", CREATE, of(1, PerformedProcedureStepID="PPS9"), uid(1), 0x0111)
    yield Case(
        "without the sequence of scheduled steps",
        CREATE,
        without("ScheduledStepAttributesSequence"),
        uid(2),
        0x0120,
        tags=(SCHEDULED,),
    )
    yield Case(
        "with an empty sequence of scheduled steps",
        CREATE,
        begin(ScheduledStepAttributesSequence=[]),
        uid(2),
        0x0121,
        tags=(SCHEDULED,),
    )
    yield Case("without an attribute of type 1, lenient", CREATE, without("PerformedProcedureStepID"), uid(3), 0x0000)
    yield Case(
        "without an attribute of type 1, strict",
        CREATE,
        without("PerformedProcedureStepID"),
        uid(4),
        0x0120,
        tags=(STEP_ID,),
        calling="STRICT",
    )
    yield Case(
        "without an attribute of type 2, strict",
        CREATE,
        without("PerformedLocation"),
        uid(4),
        0x0120,
        tags=(LOCATION,),
        calling="STRICT",
    )
    yield Case("without Affected SOP Instance UID", CREATE, begin(chosen(90)), "", 0x0000)
    yield Case("without a Patient ID", CREATE, begin(chosen(90), PatientID=""), uid(5), 0x0000)
    # N-SET
    yield Case("of an unknown UID", SET, end(), uid(99), 0x0112)
    yield Case(
        "a status that is none", SET, going_on(PerformedProcedureStepStatus="ARRIVED"), uid(1), 0x0106, tags=(STATUS,)
    )
    yield Case("an attribute that may not be set, lenient", SET, going_on(PatientID="PAT9"), uid(1), 0x0000)
    yield Case(
        "IN PROGRESS again",
        SET,
        going_on(PerformedProcedureStepStatus="IN PROGRESS"),
        uid(1),
        0x0000,
        steps={"SPS1": "STARTED"},
    )
    yield Case("COMPLETED", SET, end(), uid(1), 0x0000, steps={"SPS1": "COMPLETED"})
    yield Case("the same end again", SET, end(), uid(1), 0x0110, 0xA710, steps={"SPS1": "COMPLETED"})
    for status in ("IN PROGRESS", "COMPLETED", "DISCONTINUED"):
        yield Case(
            f"{status} after COMPLETED",
            SET,
            end(status, StudyID="7"),
            uid(1),
            0x0110,
            0xA710,
            steps={"SPS1": "COMPLETED"},
        )
    yield Case("begun, to be discontinued", CREATE, of(2), uid(2), 0x0000, steps={"SPS2": "STARTED"})
    yield Case("DISCONTINUED", SET, end("DISCONTINUED"), uid(2), 0x0000, steps={"SPS2": "DISCONTINUED"})
    yield Case("COMPLETED after DISCONTINUED", SET, end(), uid(2), 0x0110, 0xA710, steps={"SPS2": "DISCONTINUED"})
    yield Case("begun by a strict peer", CREATE, of(3), uid(33), 0x0000, calling="STRICT")
    yield Case(
        "an attribute that may not be set, strict",
        SET,
        going_on(PatientID="PAT9"),
        uid(33),
        0x0106,
        tags=(PATIENT_ID,),
        calling="STRICT",
    )
    yield Case(
        "COMPLETED without series, strict",
        SET,
        going_on(PerformedProcedureStepStatus="COMPLETED"),
        uid(33),
        0x0121,
        tags=(0x00400250, 0x00400251, SERIES),
        calling="STRICT",
        steps={"SPS3": "STARTED"},
    )
    # N-GET
    yield Case("what is kept", GET, None, uid(1), 0x0000, asked=(STATUS,))
    yield Case("an attribute that is not kept", GET, None, uid(1), 0x0001, tags=(COMMENTS,), asked=(STATUS, COMMENTS))
    yield Case("of an unknown UID", GET, None, uid(99), 0x0112)
    # What no library sends
    yield Case("a malformed UID", SET, end(), "1.2..3", 0x0117)
    yield Case("a SOP class that is none of MPPS", SET, end(), uid(1), 0x0118, sop_class="1.2.840.10008.1.1")
    yield Case("the SOP class of notifications", SET, end(), uid(1), 0x0119, sop_class=NOTIFY)
    yield Case("in a context that has no N-GET", GET, None, uid(1), 0x0211, context=1)
    yield Case("in a context that has no N-SET", SET, end(), uid(1), 0x0211, context=3)
    # Linking to scheduled steps
    yield Case(
        "several items: all steps move",
        CREATE,
        begin(chosen(4), chosen(5)),
        uid(4),
        0x0000,
        steps={"SPS4": "STARTED", "SPS5": "STARTED"},
    )
    yield Case("the end of the group", SET, end(), uid(4), 0x0000, steps={"SPS4": "COMPLETED", "SPS5": "COMPLETED"})
    yield Case(
        "no step ID, the study has one step",
        CREATE,
        begin(chosen(6, step="")),
        uid(6),
        0x0000,
        steps={"SPS6": "STARTED"},
    )
    yield Case("no step ID, the study has two", CREATE, begin(chosen(11, step="")), uid(11), 0x0000, steps=STUDY_OF_TWO)
    yield Case(
        "the modality's own study, accession number",
        CREATE,
        begin(chosen(7, study="9.7", step="")),
        uid(7),
        0x0000,
        steps={"SPS7": "STARTED"},
    )
    yield Case(
        "the modality's own study, number of another patient",
        CREATE,
        begin(chosen(8, study="9.8"), PatientID="PAT9"),
        uid(8),
        0x0000,
        steps={"SPS8": "SCHEDULED"},
    )
    yield Case("unscheduled", CREATE, begin(item("9.9", "", "", "")), uid(9), 0x0000, steps={"SPS8": "SCHEDULED"})
    yield Case(
        "an acquisition is appended",
        CREATE,
        of(1, PerformedProcedureStepID="PPS2"),
        uid(12),
        0x0000,
        steps={"SPS1": "STARTED"},
    )
    yield Case("the end of what was appended", SET, end("DISCONTINUED"), uid(12), 0x0000, steps={"SPS1": "COMPLETED"})
    yield Case(
        "another patient than the order's", CREATE, of(9, PatientID="PAT9"), uid(13), 0x0000, steps={"SPS9": "STARTED"}
    )
    yield Case(
        "the wrong worklist entry was chosen",
        SET,
        end("DISCONTINUED", WRONG_ENTRY),
        uid(13),
        0x0000,
        steps={"SPS9": "SCHEDULED"},
    )
    yield Case("an order that was cancelled", CREATE, of(10), uid(10), 0x0000, steps={"SPS10": "STARTED"})


def encoded(attributes: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, attributes)
    return BytesIO(buffer.getvalue()).getvalue()


def requested(case: Case) -> bytes:
    """The PDUs of the request."""
    kind = 0x0002 if case.operation == CREATE else 0x0003
    elements: dict[str, Any] = {f"e{kind:04x}": case.sop_class, "e0100": case.operation, "e0110": 1}
    if case.uid:
        elements["e1000" if case.operation == CREATE else "e1001"] = case.uid
    if case.asked:
        tags = ((tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") for tag in case.asked)
        elements["e1005"] = b"".join(tags)
    data = b"" if case.attributes is None else encoded(case.attributes)
    elements["e0800"] = 0x0001 if data else 0x0101
    context = case.context or (3 if case.operation == GET else 1)
    pdus = raw_peer.pdu(0x04, raw_peer.pdv(context, 0x03, raw_peer.command(**elements)))
    return pdus + (raw_peer.pdu(0x04, raw_peer.pdv(context, 0x02, data)) if data else b"")


def tags_of(response: dict[int, bytes]) -> set[int]:
    written = response.get(0x1005, b"")
    words = [int.from_bytes(written[at : at + 2], "little") for at in range(0, len(written), 2)]
    return {group << 16 | element for group, element in zip(words[::2], words[1::2], strict=True)}


def order(number: int, **values: Any) -> bytes:
    own = {"placer": f"P{number}", "filler": f"F{number}", "accession": f"ACC{number}", "procedure": f"RP{number}",
           "step": f"SPS{number}", "study_uid": f"1.2.3.{number}", "control_id": f"M{number}"}  # fmt: skip
    return orm(**{**own, **values})


SECOND_STEP = (
    "ORC|NW|P11|F11||SC||1^^^20301124093000^^R||20260123120000",
    "OBR|2|P11|F11|CTH^CT head^99RIS||||||||||||^REQUESTER^RUTH||ACC11|RP11|SPS11b||||CT",
)
ORDERS = (
    *(order(number) for number in range(1, 11)),
    order(11, control_id="M11b", more=SECOND_STEP),
    order(10, control="CA", control_id="M10b", at="20260123123000"),
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_case_has_its_status(start: Start) -> None:
    strict = [DicomPeer(ae_title="STRICT", mpps="strict"), DicomPeer(ae_title="RAW")]
    contexts = raw_peer.context(1, MPPS) + raw_peer.context(3, RETRIEVE)
    async with start(dicom=Dicom(port=0, peers=strict)) as gateway:
        await ordered(gateway, *ORDERS)
        for case in cases():
            async with raw_peer.connected(gateway.dicom_port) as peer:
                peer.send(raw_peer.associate_rq(contexts=contexts, calling=case.calling.encode()))
                assert (await peer.read())[0] == 0x02
                peer.send(requested(case))
                response = await peer.response()
            status = int.from_bytes(response[0x0900], "little")
            error_id = int.from_bytes(response[0x0903], "little") if 0x0903 in response else None
            after = await states(gateway)
            moved = {step: after[step] for step in case.steps}
            written = "" if error_id is None else f"{error_id:04X}"
            line = f"{NAMES[case.operation]:8}  {case.name:52}  {status:04X}  {written:4}"
            sys.stdout.write(f"{line}  {', '.join(f'{step} {state}' for step, state in moved.items())}\n")
            assert (status, error_id, tags_of(response)) == (case.status, case.error_id, set(case.tags)), case.name
            assert moved == case.steps, case.name
            if status == 0 and case.operation == CREATE:
                assert response[0x1000].rstrip(b"\0").decode().startswith(case.uid or "2.25.")
