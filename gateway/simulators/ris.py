"""A RIS that schedules made-up examinations: ORM^O01 of HL7 2.3.1 as in IHE's RAD-4 and RAD-13, over MLLP.

Accession Number, Requested Procedure ID and Scheduled Procedure Step ID stand in OBR-18, -19 and -20, the
modality in OBR-24, the schedule in ORC-7.4 and OBR-27.4, the Study Instance UID in ZDS-1.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse

_NAMESPACE = uuid.UUID("6f7c1f0a-3a53-5e0e-9d0c-0c8a6c2f51d4")
_ORDER_STATUS = {"NW": "SC", "XO": "SC", "CA": "CA", "DC": "CA", "HD": "HD", "RL": "SC"}
"""Order control (ORC-1, table 0119) -> order status (ORC-5, table 0038)."""
_UTF8 = "UNICODE UTF-8"
_FAMILIES = [
    "Amberg",
    "Brisk",
    "Calloway",
    "Dvořák",
    "Eriksen",
    "Fontaine",
    "Grünwald",
    "Hollis",
    "Ibáñez",
    "Juhl",
    "Kestrel",
    "Løvdal",
]
_GIVEN = {
    "F": ["Ada", "Berta", "Chloé", "Dagny", "Elin", "Flora", "Gisela", "Hedda"],
    "M": ["Anton", "Bruno", "Cyril", "Diego", "Emil", "Fabián", "Gustav", "Håkon"],
    "O": ["Ariel", "Blake", "Robin", "Sasha"],
}
_PHYSICIANS = ("Quill^Nora", "Rastelli^Ugo", "Sørensen^Ib", "Tremblay^Odile")
_PROCEDURES = (
    ("CT", "CTCHEST", "CT chest"),
    ("MR", "MRBRAIN", "MR brain"),
    ("US", "USABDO", "US abdomen"),
    ("CR", "CRHAND", "Radiograph of the hand"),
    ("DX", "DXCHEST", "Chest PA and lateral"),
    ("MG", "MGSCREEN", "Screening mammography"),
    ("NM", "NMBONE", "Bone scintigraphy"),
    ("PT", "PTWHOLE", "Whole body PET"),
    ("XA", "XACOR", "Coronary angiography"),
    ("RF", "RFSWALLOW", "Swallow study"),
)
"""Modality (DICOM defined term), local procedure code, what it is called."""


@dataclass(frozen=True)
class Exam:
    """One examination of one patient: one requested procedure with one scheduled step."""

    accession_number: str
    patient_id: str
    study_uid: str
    patient_name: str
    """Family^Given."""
    birth_date: date
    sex: str
    modality: str
    procedure_code: str
    procedure: str
    physician: str
    start: datetime
    """In the site's own time; the message carries no offset."""
    issued: datetime
    """When the order was placed (ORC-9)."""

    @property
    def step_id(self) -> str:
        return f"SPS{self.accession_number}"

    def hl7(self, control: str = "NW", *, revision: int = 0) -> bytes:
        """The message for this order, in UTF-8.

        control: NW, XO, CA, DC, HD or RL. revision: minutes after `issued`; a later message about the same
        order needs a higher one, which makes its MSH-10 distinct and its ORC-9 later.
        """
        at = f"{self.issued + timedelta(minutes=revision):%Y%m%d%H%M%S}"
        timing = f"1^^^{self.start:%Y%m%d%H%M%S}^^R"
        placer, filler = f"P{self.accession_number}^RIS", f"F{self.accession_number}^RIS"
        code = f"{self.procedure_code}^{self.procedure}^99RIS"
        physician = f"1001^{self.physician}"
        step = {18: self.accession_number, 19: f"RP{self.accession_number}", 20: self.step_id, 24: self.modality}
        header = {2: "^~\\&", 3: "RIS", 4: "IMAGING", 5: "GATEWAY", 6: "IMAGING", 7: at, 9: "ORM^O01"}
        patient = {3: f"{self.patient_id}^^^RIS^MR", 5: self.patient_name, 8: self.sex}
        order = {1: control, 2: placer, 3: filler, 5: _ORDER_STATUS[control], 7: timing, 9: at, 12: physician}
        service = {1: "1", 2: placer, 3: filler, 4: f"{code}^{code}", 16: physician, 27: timing, 44: code}
        segments = (
            _segment(
                "MSH", header | {10: f"{self.accession_number}{control}{revision}", 11: "P", 12: "2.3.1", 18: _UTF8}
            ),
            _segment("PID", patient | {1: "1", 7: f"{self.birth_date:%Y%m%d}"}),
            _segment("PV1", {1: "1", 2: "O", 8: physician, 19: f"V{self.accession_number}"}),
            _segment("ORC", order | {17: "RAD^Radiology^99RIS"}),
            _segment("OBR", service | step),
            _segment("ZDS", {1: f"{self.study_uid}^RIS^Application^DICOM"}),
        )
        return "".join(f"{segment}\r" for segment in segments).encode()


@dataclass(frozen=True)
class MessageAnswer:
    """The answer of the receiver to one message."""

    code: str
    """MSA-1: AA, AE, AR; empty when the answer has no MSA."""
    text: str
    """MSA-3."""
    seconds: float
    """From the first byte sent to the whole answer."""
    raw: bytes


def orders(seed: int, count: int, *, first_day: date = date(2030, 1, 7)) -> Iterator[Exam]:
    """`count` examinations of as many made-up people, ten minutes apart; the same seed gives the same ones.

    seed: 0 to 99999, so that an accession number fits SH (16 characters) with its prefixes.
    """
    if not 0 <= seed <= 99999:
        raise ValueError(f"seed {seed}: must be from 0 to 99999")
    dice = random.Random(seed)
    start = datetime.combine(first_day, datetime.min.time()) + timedelta(hours=8)
    for index in range(count):
        modality, code, procedure = _PROCEDURES[index % len(_PROCEDURES)]
        sex = dice.choices("FMO", (49, 49, 2))[0]
        yield Exam(
            accession_number=f"{seed:05d}{index:06d}",
            patient_id=f"T{seed:05d}{index:06d}",
            study_uid=f"2.25.{uuid.uuid5(_NAMESPACE, f'{seed}/{index}').int}",
            patient_name=f"{dice.choice(_FAMILIES)}^{dice.choice(_GIVEN[sex])}",
            birth_date=date(1930, 1, 1) + timedelta(days=dice.randrange(80 * 365)),
            sex=sex,
            modality=modality,
            procedure_code=code,
            procedure=procedure,
            physician=dice.choice(_PHYSICIANS),
            start=start + timedelta(minutes=10 * index),
            issued=start - timedelta(days=1),
        )


async def _exchange(client: MllpClient, message: bytes) -> MessageAnswer:
    begun = time.perf_counter()
    raw = await client.send(message)
    msa = parse(raw).first("MSA")
    code, text = (msa.leaf(1), msa.leaf(3)) if msa else ("", "")
    return MessageAnswer(code, text, time.perf_counter() - begun, raw)


async def send(
    host: str,
    port: int,
    messages: Iterable[bytes],
    *,
    concurrency: int = 1,
    timeout: float = 30.0,
    answered: Callable[[int, MessageAnswer], None] | None = None,
) -> list[MessageAnswer]:
    """Send over `concurrency` connections, one message at a time on each; the answers are in message order.

    timeout: seconds, for connecting and for each answer. answered: called with each answer as it comes, and with the
    position of its message. Raises `Unavailable` when an answer does not come.
    """
    waiting = enumerate(messages)
    answers: dict[int, MessageAnswer] = {}

    async def one_connection() -> None:
        async with MllpClient(host, port, timeout=timeout) as client:
            for index, message in waiting:
                answers[index] = await _exchange(client, message)
                if answered is not None:
                    answered(index, answers[index])

    connections = [asyncio.create_task(one_connection()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*connections)
    finally:
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
    return [answers[index] for index in sorted(answers)]


def _segment(name: str, fields: Mapping[int, str]) -> str:
    """`fields` by their HL7 numbers; MSH-1 is the separator itself, so that MSH begins with its field 2."""
    first = 2 if name == "MSH" else 1
    return "|".join([name, *(fields.get(number, "") for number in range(first, max(fields) + 1))])
