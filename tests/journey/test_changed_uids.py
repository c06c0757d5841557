"""Studies whose Study Instance UID an archive changed: what EHRs hold of the former study and of the new one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from aiohttp import ClientSession
from pydicom.dataset import Dataset
from sqlalchemy import Connection, select

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.site import Site
from gateway.operations.journey_of import journey
from gateway.operations.withdraw import withdraw
from gateway.records.audit import AuditKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing
from gateway.store.schema import audit, audit_waiting
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import adt, orm
from tests.journey.running import UNHURRIED, Start, quiet, sqlite
from tests.wire.dimse.peers import HOST, PEER, instance

SITE = Site(name="Test site", patient_id_issuer="HOSP", identifier_systems={"HOSP": "urn:oid:2.25.1"})


@dataclass(frozen=True)
class Held:
    """What an EHR holds of a study."""

    version: int
    instances: int
    in_error: bool = False
    order: bool = False


MOVED = Held(2, 0, in_error=True, order=True)
"""Of a study of which nothing is left; it was delivered before."""


class Examination:
    """Images of one examination under several Study Instance UIDs: `A`, which its order states, `B` and `C`."""

    def __init__(self, number: int) -> None:
        self.number = number

    def uid(self, study: str) -> str:
        return f"2.25.7{self.number:02}.{ord(study)}"

    def image(self, study: str, number: int, *former: Dataset, sop: str = "", **changes: Any) -> Dataset:
        """`sop`: the study that gave the SOP Instance UID; empty: `A`, and all studies have the same."""
        made = instance()
        made.StudyInstanceUID, made.SeriesInstanceUID = self.uid(study), f"{self.uid(study)}.1"
        made.SOPInstanceUID, made.InstanceNumber = f"{self.uid(sop or 'A')}.9.{number}", number
        made.PatientID, made.IssuerOfPatientID = f"P{self.number}", "HOSP"
        made.PatientName, made.Modality, made.AccessionNumber = "Probe", "CT", ""
        for keyword, value in changes.items():
            setattr(made, keyword, value)
        if former:
            made.OriginalAttributesSequence = list(former)
        return made

    def former(self, study: str, number: int = 0) -> Dataset:
        """An item of Original Attributes Sequence: another Study Instance UID before; of an image `number`, all."""
        previous, made = Dataset(), Dataset()
        previous.StudyInstanceUID = self.uid(study)
        if number:
            previous.SeriesInstanceUID = f"{self.uid(study)}.1"
            previous.SOPInstanceUID = f"{self.uid(study)}.9.{number}"
        made.ModifiedAttributesSequence = [previous]
        made.AttributeModificationDateTime, made.ModifyingSystem = "20260124120000", "PACS"
        made.SourceOfPreviousValues, made.ReasonForTheAttributeModification = "", "COERCE"
        return made

    def corrected(self) -> Dataset:
        """An item as the gateway writes on the way to an archive: no UID is another."""
        made = self.former("A")
        previous = Dataset()
        previous.PatientName, previous.PatientID = "Prob", f"Q{self.number}"
        made.ModifiedAttributesSequence, made.ModifyingSystem = [previous], "GATEWAY"
        return made

    def renamed(self, study: str, number: int, *chain: str, **changes: Any) -> Dataset:
        """The image with UIDs of `study` alone, which were those of the studies of `chain` before."""
        return self.image(study, number, *(self.former(one, number) for one in chain), sop=study, **changes)

    def both(self, study: str, *chain: str) -> list[Dataset]:
        """Both images, with the SOP Instance UIDs that they always had."""
        return [self.image(study, number, *map(self.former, chain)) for number in (1, 2)]

    def order(self) -> bytes:
        return orm(
            control_id=f"O{self.number}", accession=f"A{self.number}", placer=f"PL{self.number}",
            filler=f"FI{self.number}", study_uid=self.uid("A"), patient=f"P{self.number}^^^HOSP", name="Probe",
        )  # fmt: skip

    def merge(self) -> bytes:
        return adt(
            "A40", control_id=f"M{self.number}", patient=f"P{self.number}^^^HOSP", name="Probe",
            prior=f"Q{self.number}^^^HOSP", at="20260124120000",
        )  # fmt: skip


Sent = Sequence[Dataset | bytes]


@dataclass(frozen=True)
class Case:
    what: str
    then: Any
    """Of an `Examination`: what is sent one after the other, each when what came before has settled."""
    after: dict[str, Held]
    before: Any = lambda one: [one.order(), *one.both("A")]
    parked: str = ""
    """The study that a person must look at."""


CASES = [
    Case("another UID", lambda one: [one.both("B")], {"A": MOVED, "B": Held(1, 2, order=True)}),
    Case("coerced, as is stated", lambda one: [one.both("B", "A")], {"A": MOVED, "B": Held(1, 2, order=True)}),
    Case("split", lambda one: [one.both("B")[:1]], {"A": Held(2, 1, order=True), "B": Held(1, 1, order=True)}),
    Case(
        "split in two",
        lambda one: [[one.image("B", 1), one.image("C", 2)]],
        {"A": MOVED, "B": Held(1, 1, order=True), "C": Held(1, 1, order=True)},
    ),
    Case(
        "merged into one",
        lambda one: [[one.image("C", 1), one.image("C", 2)]],
        {"A": Held(2, 0, in_error=True, order=True), "B": Held(2, 0, in_error=True), "C": Held(1, 2, order=True)},
        before=lambda one: [one.order(), one.image("A", 1), one.image("B", 2)],
    ),
    Case(
        "all UIDs are new",
        lambda one: [[one.renamed("B", number, "A") for number in (1, 2)]],
        {"A": MOVED, "B": Held(1, 2, order=True)},
    ),
    Case(
        "some UIDs are new",
        lambda one: [[one.renamed("B", 2, "A")]],
        {"A": Held(2, 1, order=True), "B": Held(1, 1, order=True)},
    ),
    Case(
        "another SOP Instance UID in the same study",
        lambda one: [[one.image("A", 2, one.former("A", 1), sop="B")]],
        {"A": Held(2, 2, order=True)},
    ),
    Case("the former study comes late", lambda one: [one.both("A")], {"B": Held(1, 2, order=True)},
         before=lambda one: [one.order(), *one.both("B", "A")]),
    Case("the order comes last", lambda one: [[one.order()]], {"B": Held(2, 2, order=True)},
         before=lambda one: one.both("B", "A")),
    Case("the former study again", lambda one: [one.both("B"), one.both("A")],
         {"A": MOVED, "B": Held(1, 2, order=True)}),
    Case(
        "moved back, which nobody states",
        lambda one: [one.both("B"), [one.image("A", number, StudyDescription="Anew") for number in (1, 2)]],
        {"A": Held(3, 2, order=True), "B": Held(2, 0, in_error=True)},
    ),
    Case(
        "corrected on the way by the gateway itself, and given back",
        lambda one: [[one.image("A", number, one.corrected()) for number in (1, 2)]],
        {"A": Held(1, 2, order=True)},
    ),
    Case(
        "held by its order",
        lambda one: [[one.image("B", number, PatientBirthDate="19990101") for number in (1, 2)]],
        {"A": Held(1, 2, order=True)},
        parked="B",
    ),
    Case(
        "of another patient",
        lambda one: [[one.renamed("B", number, "A", PatientID=f"Q{one.number}") for number in (1, 2)]],
        {"A": Held(1, 2, order=True), "B": Held(1, 2)},
    ),
    Case(
        "of another patient, who is the same",
        lambda one: [
            [one.renamed("B", number, "A", PatientID=f"Q{one.number}") for number in (1, 2)],
            [one.merge()],
        ],
        {"A": MOVED, "B": Held(2, 2, order=True)},
    ),
]  # fmt: skip


EXPECTED = {one.what: one.after for one in CASES}
ORDERS = ("ABC", "CBA", "BCA")
"""In which both images come under three sets of UIDs, each of which states those before."""


async def _send(gateway: app.Running, sent: Sent) -> None:
    async with MllpClient(HOST, gateway.hl7_ports["ris"]) as ris:
        for message in sent:
            if isinstance(message, bytes):
                assert b"MSA|AA" in await ris.send(message)
    await _store(gateway, [image for image in sent if isinstance(image, Dataset)])
    await quiet(gateway)


async def _store(gateway: app.Running, images: Sequence[Dataset]) -> None:
    assert {status for _, status in await client.store(HOST, gateway.dicom_port, images, **PEER)} <= {0}


def _held(ehr: EhrSimulator, one: Examination) -> dict[str, Held]:
    """By study, what the EHR holds of the examination."""
    studies, found = {f"urn:oid:{one.uid(study)}": study for study in "ABC"}, {}
    for resource in ehr.resources("ImagingStudy"):
        for study in {studies[uid] for each in resource["identifier"] if (uid := each["value"]) in studies}:
            found[study] = Held(
                int(resource["meta"]["versionId"]), resource["numberOfInstances"],
                resource["status"] == "entered-in-error", bool(resource.get("basedOn")),
            )  # fmt: skip
    return found


async def _told(gateway: app.Running, one: Examination, study: str) -> tuple[str, bool]:
    """What the journey of a study states of its former or new one, and whether its page links to that and states it."""
    uid, other = one.uid(study), one.uid("B" if study == "A" else "A")
    found = await journey(gateway.store, uid)
    assert found is not None
    [text] = {each["text"] for each in found["events"] if each["text"].endswith(f" study {other}")}
    text = text.removesuffix(f" {other}").removeprefix(f"study {uid}: ")
    page = f"http://127.0.0.1:{gateway.http_port}/studies/{uid}"
    async with ClientSession() as session, session.get(page) as got:
        written = await got.text()
    return text, f'href="/studies/{other}"' in written and text.removesuffix(" study") in written


async def _served(gateway: app.Running, one: Examination) -> dict[str, list[str]]:
    """By study, the SOP Instance UIDs that a search over DICOMweb finds."""
    found = {}
    async with ClientSession() as session:
        for study in "AB":
            url = f"http://127.0.0.1:{gateway.http_port}/dicomweb/studies/{one.uid(study)}/instances"
            async with session.get(url) as got:
                found[study] = [each["00080018"]["Value"][0] for each in await got.json(content_type=None)]
    return found


def _audited(connection: Connection, study_uid: str) -> list[tuple[str, tuple[str, ...]]]:
    """Procedure records of the audit trail that name a study first."""
    chained = connection.execute(select(audit.c.event)).scalars()
    waiting = connection.execute(select(audit_waiting.c.events)).scalars()
    events = [json.loads(line) for text in (*chained, *waiting) for line in text.splitlines()]
    return [
        (one["note"], tuple(one["studies"]))
        for one in events
        if one["kind"] == AuditKind.PROCEDURE_RECORD and one["studies"][:1] == [study_uid]
    ]


def _link(one: Examination, order: Sequence[str], place: int) -> list[Dataset]:
    study = order[place]
    images = [one.renamed(study, number, *"ABC"[: "ABC".index(study)]) for number in (1, 2)]
    return [*images, *images]


@sqlite
async def test_each_change_leads_to_its_versions(start: Start) -> None:
    examinations = {one.what: Examination(number) for number, one in enumerate(CASES, 10)}
    chains = [(order, Examination(number)) for number, order in enumerate(ORDERS, 50)]
    async with EhrSimulator() as ehr, start(ehr.url, site=SITE, studies=UNHURRIED) as gateway:
        await _send(gateway, [sent for case in CASES for sent in case.before(examinations[case.what])])
        steps = [case.then(examinations[case.what]) for case in CASES]
        steps += [[_link(one, order, place) for place in range(3)] for order, one in chains]
        for number in range(max(map(len, steps))):
            await _send(gateway, [sent for step in steps if number < len(step) for sent in step[number]])
        held = {what: _held(ehr, one) for what, one in examinations.items()}
        in_order = {order: _held(ehr, one) for order, one in chains}
        withdrawn, split = examinations["another UID"], examinations["split"]
        told = {study: await _told(gateway, split, study) for study in "AB"}
        whole = await _told(gateway, withdrawn, "A")
        served = await _served(gateway, split)
        audited = await gateway.store.read(partial(_audited, study_uid=split.uid("A")))
        uid = StudyInstanceUID(withdrawn.uid("B"))
        await gateway.store.write(lambda connection: withdraw(connection, uid, ehrs=["ehr0"], now=now()))
        merged = examinations["merged into one"]
        excluded = f"/api/studies/{merged.uid('C')}/exclude?part={merged.uid('A')}.9.1&note=wrong"
        async with (
            ClientSession(raise_for_status=True) as session,
            session.post(f"http://127.0.0.1:{gateway.http_port}{excluded}"),
        ):
            await quiet(gateway)
        again, without = _held(ehr, withdrawn), _held(ehr, merged)
        stuck = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
    assert {what: one for what, one in held.items() if one != EXPECTED[what]} == {}
    for order, found in in_order.items():
        assert {study: one.instances for study, one in found.items() if not one.in_error} == {"C": 2}, order
        # What comes behind the study that counts never reaches the EHR.
        assert all(order.index(study) < order.index("C") for study in found if study != "C"), order
    assert told == {"A": ("1 of its 2 instances is now of study", True), "B": ("took over 1 instance of study", True)}
    assert whole == ("its 2 instances are now of study", True)
    assert served == {"A": [f"{split.uid('A')}.9.2"], "B": [f"{split.uid('A')}.9.1"]}
    assert audited == [("instances are of another study now", (split.uid("A"), split.uid("B")))]
    # The study that took over is in error itself, so the former counts.
    assert again == {"A": Held(3, 2, order=True), "B": Held(2, 0, in_error=True)}
    # So does one of whose instance a person has excluded the copy.
    assert without == {"A": Held(3, 1, order=True), "B": Held(2, 0, in_error=True), "C": Held(2, 1)}
    assert {row["subject"] for row in stuck} == {
        examinations[case.what].uid(case.parked) for case in CASES if case.parked
    }


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_two_gateways_and_a_restart_come_to_the_same(start: Start) -> None:
    """Both studies of each examination arrive at once, one at each gateway, and are looked at by either."""
    examinations = [Examination(number) for number in range(80, 84)]
    chains = ((), ("A",), (), ("A",))
    async with EhrSimulator() as ehr:
        sections: dict[str, Any] = {"site": SITE, "studies": UNHURRIED}
        async with start(ehr.url, **sections) as first, start(ehr.url, **sections) as second:
            await _send(first, [one.order() for one in examinations])
            for former, latter in ((first, second), (second, first)):
                await asyncio.gather(
                    _store(former, [image for one in examinations for image in one.both("A")]),
                    _store(latter, [
                        image for one, chain in zip(examinations, chains, strict=True)
                        for image in one.both("B", *chain)
                    ]),
                )  # fmt: skip
        async with start(ehr.url, **sections) as again:
            await quiet(again)
            stuck = await again.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
        held = [_held(ehr, one) for one in examinations]
    assert stuck == []
    for found, chain in zip(held, chains, strict=True):
        left = {study: (one.instances, one.order) for study, one in found.items() if not one.in_error}
        assert sum(number for number, _ in left.values()) == 2
        assert all(has_order for _, has_order in left.values())
        assert not chain or left == {"B": (2, True)}
