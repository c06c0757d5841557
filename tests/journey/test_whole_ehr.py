"""Studies of several patients in random order, lost answers, an EHR that loses its data and a gateway that restarts.

What must stand in the end: each Patient, ServiceRequest and ImagingStudy once, every link, the right patient.
`WHOLE_EHR_STUDIES` is the number of studies, `WHOLE_EHR_WRITE` the way of writing; `make whole-ehr` plays 140 studies
against HAPI FHIR and Medplum's router.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import UID
from sqlalchemy import Connection, func, select

from gateway.assembly.process import Running
from gateway.clock import now
from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.config.site import Site
from gateway.operations.resend import resend_all
from gateway.records.study import Release
from gateway.store import outbox_listing
from gateway.store.schema import missing_links
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.running import Start, quiet
from tests.journey.test_scheduling import outcomes
from tests.journey.test_study_arrival import sample, send
from tests.peers import fhir_server as medplum
from tests.peers.fhir_server import FhirServer
from tests.peers.hapi_server import hapi_server
from tests.peers.lossy_proxy import LossyProxy, lossy_proxy

STUDIES = int(os.environ.get("WHOLE_EHR_STUDIES", "8"))
WRITE: Any = os.environ.get("WHOLE_EHR_WRITE", "auto")
PATIENTS = 5
SYSTEMS = {"HOSP": "urn:oid:2.25.1"}
ORDER_SYSTEMS = dict.fromkeys(("HOSP", "RIS", "HOSPITAL"), "urn:oid:2.25.77")

Server = Callable[[], AbstractAsyncContextManager[FhirServer]]


@dataclass(frozen=True)
class Exam:
    """One order and its study."""

    number: int

    @property
    def patient_id(self) -> str:
        return f"WHOLE{self.number % PATIENTS}"

    @property
    def patient_name(self) -> str:
        return f"SAMPLE^NR{self.number % PATIENTS}"

    @property
    def study_uid(self) -> str:
        return f"2.25.1000{self.number}"

    @property
    def accession_number(self) -> str:
        return f"ACC{self.number}"

    @property
    def order(self) -> bytes:
        return orm(
            control_id=f"MSG{self.number}", patient=f"{self.patient_id}^^^HOSP", name=self.patient_name,
            placer=f"P{self.number}", filler=f"F{self.number}", accession=self.accession_number,
            procedure=f"RP{self.number}", step=f"S{self.number}", study_uid=self.study_uid,
        )  # fmt: skip

    def instance(self, number: int) -> Dataset:
        dataset = sample()
        dataset.PatientID, dataset.PatientName = self.patient_id, self.patient_name
        dataset.AccessionNumber = self.accession_number
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study_uid, f"{self.study_uid}.1"
        dataset.SOPInstanceUID = f"{self.study_uid}.1.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(str(dataset.SOPInstanceUID))
        return dataset


async def play(gateway: Running, events: list[tuple[str, Exam]]) -> None:
    for what, exam in events:
        if what == "order":
            assert await outcomes(gateway, exam.order) == ["AA"]
        else:
            assert await send(gateway, exam.instance(int(what))) == [0]


async def settled(gateway: Running) -> None:
    await quiet(gateway, seconds=600)
    stuck = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
    assert stuck == []


async def linked(gateway: Running) -> None:
    def missing(connection: Connection) -> int:
        return int(connection.execute(select(func.count()).select_from(missing_links)).scalar_one())

    await comes_true(lambda: gateway.store.read(missing), lambda number: number == 0, seconds=300)
    await settled(gateway)


@asynccontextmanager
async def begun(start: Start, proxy: LossyProxy, release: Release) -> AsyncIterator[Running]:
    ehr = Ehr(
        name="main", url=proxy.url, timeout_seconds=60, retry=Retry(first_seconds=0.1, max_seconds=0.5),
        patient="create", orders="write", when_deleted="recreate", write=WRITE, fhir_version=release,
    )  # fmt: skip
    site = Site(patient_id_issuer="HOSP", identifier_systems=SYSTEMS, order_systems=ORDER_SYSTEMS)
    async with start(site=site, ehrs=[ehr]) as gateway:
        yield gateway


async def holds_everything(server: FhirServer, exams: list[Exam]) -> None:
    patients, requests, studies = [
        await server.resources(kind) for kind in ("Patient", "ServiceRequest", "ImagingStudy")
    ]
    people = {value_of(one, "urn:oid:2.25.1"): f"Patient/{one['id']}" for one in patients}
    orders = {value_of(one, "urn:oid:2.25.77", "ACC"): one for one in requests}
    held = {value_of(one, "urn:dicom:uid"): one for one in studies}
    counts = [(len(list), len(names)) for list, names in ((patients, people), (requests, orders), (studies, held))]
    assert counts == [(PATIENTS, PATIENTS), (len(exams), len(exams)), (len(exams), len(exams))], "one of each"
    for exam in exams:
        study, request = held[f"urn:oid:{exam.study_uid}"], orders[exam.accession_number]
        assert study["subject"]["reference"] == people[exam.patient_id], exam
        assert request["subject"]["reference"] == people[exam.patient_id], exam
        assert f"ServiceRequest/{request['id']}" in [one.get("reference") for one in study["basedOn"]], exam
        assert study["numberOfInstances"] == 2, exam


def value_of(resource: dict[str, Any], system: str, prefix: str = "") -> str:
    values = [one["value"] for one in resource["identifier"] if one.get("system") == system]
    return str(next(one for one in values if one.startswith(prefix)))


def medplums(address: str) -> Server:
    @asynccontextmanager
    async def one() -> AsyncIterator[FhirServer]:
        yield FhirServer(f"{address}/test{next(medplum._tenants)}")

    return one


@pytest.fixture(params=["medplum", "hapi", "hapi that validates", "hapi of R5"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def release(kind: str) -> Release:
    return "R5" if kind.endswith("R5") else "R4"


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: str, release: Release) -> Server:
    """Gives an EHR that holds nothing, each time."""
    if kind == "medplum":
        return medplums(request.getfixturevalue("fhir_process"))
    return partial(hapi_server, release, validates="validates" in kind)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_study_stands_once_with_all_links(start: Start, server: Server, release: Release) -> None:
    shuffled = random.Random(STUDIES)
    exams = [Exam(number) for number in range(STUDIES)]
    events = [(what, exam) for exam in exams for what in ("order", "1", "2")]
    shuffled.shuffle(events)
    half = len(events) // 2
    async with lossy_proxy("") as proxy:
        async with server() as first:
            proxy.target = first.url
            async with begun(start, proxy, release) as gateway:
                await play(gateway, events[:half])
                await settled(gateway)
        async with server() as second:
            # The same address, nothing in the server, and the ids that it gives have been given before.
            proxy.target = second.url
            async with begun(start, proxy, release) as gateway:
                await play(gateway, events[half:])
                await settled(gateway)
                async for _ in resend_all(gateway.store, "main", now, first=0, per_second=1e6):
                    pass
                await linked(gateway)
            await holds_everything(second, exams)
        assert min(proxy.lost.values()) > 0
