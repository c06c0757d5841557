"""`gateway demo`: the whole journey on this machine, step by step."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from pydicom import Dataset

from gateway.assembly import process as app
from gateway.config.database import Database
from gateway.config.destinations import Destination
from gateway.config.dicom import Dicom
from gateway.config.ehrs import Ehr
from gateway.config.hl7 import Hl7, Listener
from gateway.config.http import Http
from gateway.config.site import Site
from gateway.config.studies import Studies
from gateway.config.tree import Config
from gateway.operations.journey_subject import of_accession
from gateway.records.identifiers import AccessionNumber
from gateway.simulators import modality, ris
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ris import Exam
from gateway.simulators.ris_listener import RisListener
from gateway.simulators.studies import perform
from gateway.store import worklist

Say = Callable[[str], None]
LIMIT_SECONDS = 30.0
QUIET_SECONDS = 0.5


class DemoFailed(Exception):
    """A step did not come out as it should."""


async def demo(say: Say, *, once: bool, seed: int | None = None) -> None:
    """Play the loop. Raises `DemoFailed` when a step comes out wrong.

    Without `once` the gateway and the EHR go on serving until the task is cancelled.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder:
        async with (
            EhrSimulator() as ehr,
            RisListener() as receiver,
            app.running(_config(Path(folder), ehr.url, receiver.port)) as gateway,
        ):
            hl7, dicom = gateway.hl7_ports["ris"], gateway.dicom_port
            say(f"Gateway: HL7 on 127.0.0.1:{hl7}, DICOM as GATEWAY on 127.0.0.1:{dicom}, SQLite in {folder}")
            say(f"Console: http://127.0.0.1:{gateway.http_port}/    EHR simulator: {ehr.url}")
            seed = int(time.time()) % 100_000 if seed is None else seed
            [order] = ris.orders(seed, 1, first_day=datetime.now(UTC).date())
            await _play(say, gateway, ehr, receiver, order)
            say("")
            if once:
                say("Try next: make run  (a gateway of your own; gateway.yaml is commented)")
                return
            say(f"Still serving. Try next: gateway simulate ris --port {hl7} --count 5  (Ctrl-C ends the demo)")
            await asyncio.Event().wait()


class _Alone(Config):
    """A configuration that the environment has no part in: the demo must not reach the site's own systems."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _config(folder: Path, ehr_url: str, ris_port: int) -> Config:
    return _Alone(
        site=Site(
            name="Demo site", patient_id_issuer="RIS",
            identifier_systems={"RIS": "urn:oid:2.25.1"},
            order_systems={"IMAGING": "urn:oid:2.25.2"},
        ),
        database=Database(url=f"sqlite:///{folder}/gateway.db"),
        hl7=Hl7(listeners=[Listener(port=0)], destinations=[Destination(name="ris", port=ris_port)]),
        dicom=Dicom(port=0),
        studies=Studies(quiet_seconds=QUIET_SECONDS),
        ehrs=[Ehr(name="ehr", url=ehr_url)],
        http=Http(port=0),
    )  # fmt: skip


async def _play(say: Say, gateway: app.Running, ehr: EhrSimulator, receiver: RisListener, order: Exam) -> None:
    steps = _Steps(say)
    item = await _order(steps, gateway, order)
    *datasets, late = perform(item, series=2, instances=4)
    performed = await modality.begin("127.0.0.1", gateway.dicom_port, item, calling_ae="SCANNER")
    await _must_be(steps, gateway, order, "STARTED")
    steps.show("Scanner begins the examination", "N-CREATE of a performed step", "Success; the step has STARTED")
    await _status(steps, receiver, "IP")
    stored = await modality.send("127.0.0.1", gateway.dicom_port, datasets, calling_ae="SCANNER")
    pixels = sum(len(one.PixelData) for one in datasets) // 1024
    crossed = f"C-STORE of {stored} instances in 2 series, {pixels} KiB of pixels"
    steps.show("Scanner sends its images", crossed, "Success for each; headers are on disk")
    await modality.end("127.0.0.1", gateway.dicom_port, performed, datasets, calling_ae="SCANNER")
    await _must_be(steps, gateway, order, "COMPLETED")
    steps.show("Scanner ends the examination", "N-SET of the performed step", "Success; the step is off the worklist")
    await _status(steps, receiver, "CM")

    first = await _resource(ehr, lambda one: one["numberOfInstances"] == stored)
    crossed = f"{ehr.writes[-1].method} {ehr.writes[-1].target.lstrip('/')}"
    steps.show("All images that MPPS names are here", crossed, f"EHR has {_described(first)}")
    ordered, patient = first["basedOn"][0]["identifier"]["value"], first["subject"]["identifier"]["value"]
    linked = ordered == order.accession_number and patient == order.patient_id
    steps.must(linked, "the ImagingStudy is not linked to its order and patient")
    steps.show("It is linked", f"subject Patient {patient}, basedOn ServiceRequest {ordered}", "what the RIS ordered")

    await modality.send("127.0.0.1", gateway.dicom_port, [late], calling_ae="SCANNER")
    second = await _resource(ehr, lambda one: one["numberOfInstances"] == stored + 1)
    same = second["id"] == first["id"] and len(ehr.resources("ImagingStudy")) == 1
    steps.must(same, "the study became two resources")
    steps.show("One more image comes late", "C-STORE of 1 instance of the same study", f"EHR has {_described(second)}")


async def _order(steps: _Steps, gateway: app.Running, order: Exam) -> Dataset:
    """Send the order and find it in the worklist."""
    hl7 = order.hl7()
    [answer] = await ris.send("127.0.0.1", gateway.hl7_ports["ris"], [hl7])
    crossed = (
        f"ORM^O01, {len(hl7)} bytes of MLLP: {order.procedure} ({order.modality}), accession {order.accession_number}"
    )
    steps.show("RIS sends an order", crossed, f"gateway answers {answer.code}")
    steps.must(answer.code == "AA", f"the order was answered {answer.code} {answer.text}")

    items = await modality.query(
        "127.0.0.1", gateway.dicom_port, calling_ae="SCANNER", accession_number=order.accession_number
    )
    steps.must(len(items) == 1, f"the worklist holds {len(items)} items for accession {order.accession_number}")
    [step] = items[0].ScheduledProcedureStepSequence
    start = f"{step.ScheduledProcedureStepStartDate} {step.ScheduledProcedureStepStartTime}"
    found = f"{items[0].PatientName}, {step.Modality} at {start}, study {_short(items[0].StudyInstanceUID)}"
    steps.show(
        "Scanner asks its worklist", f"C-FIND by SCANNER, accession {order.accession_number}", f"1 match: {found}"
    )
    return items[0]


async def _must_be(steps: _Steps, gateway: app.Running, order: Exam, state: str) -> None:
    number = AccessionNumber(order.accession_number)
    found = await gateway.store.read(lambda c: worklist.of_orders(c, of_accession(c, number).orders))
    steps.must([row["state"] for row in found] == [state], f"the step is not {state}")


async def _status(steps: _Steps, receiver: RisListener, expected: str) -> None:
    """Wait for the status of the RIS, the newest of all that it has accepted."""
    end = time.monotonic() + LIMIT_SECONDS
    stated: list[str] = []
    while time.monotonic() < end and stated[1:2] != [expected]:
        orc = next((one.first("ORC") for one in reversed(receiver.accepted.values())), None)
        stated = [] if orc is None else [orc.leaf(1), orc.leaf(5), orc.leaf(2)]
        await asyncio.sleep(0.01)
    steps.must(stated[1:2] == [expected], f"the RIS did not get the status {expected}")
    crossed = f"ORM^O01 with ORC-1 {stated[0]}, ORC-5 {stated[1]} of the order {stated[2]}"
    steps.show("Gateway tells the RIS", crossed, "RIS answers AA")


def _described(resource: dict[str, Any]) -> str:
    counts = f"{resource['numberOfSeries']} series, {resource['numberOfInstances']} instances"
    return f"ImagingStudy/{resource['id']} version {resource['meta']['versionId']}: {counts}"


async def _resource(ehr: EhrSimulator, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The one ImagingStudy of the EHR, as soon as it is as `wanted`."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        found = [one for one in ehr.resources("ImagingStudy") if wanted(one)]
        if found:
            return found[0]
        await asyncio.sleep(0.01)
    raise DemoFailed(f"the EHR did not get the ImagingStudy within {LIMIT_SECONDS:.0f} s")


class _Steps:
    """Numbers the steps and times them."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._number = 0
        self._since = time.perf_counter()

    def show(self, title: str, crossed: str, came_of_it: str) -> None:
        self._number += 1
        elapsed = time.perf_counter() - self._since
        self._say("")
        self._say(f"{self._number}. {title}  [{elapsed * 1000:.0f} ms]")
        self._say(f"   {crossed}")
        self._say(f"   -> {came_of_it}")
        self._since = time.perf_counter()

    @staticmethod
    def must(condition: bool, otherwise: str) -> None:
        if not condition:
            raise DemoFailed(otherwise)


def _short(uid: Any) -> str:
    text = str(uid)
    return text if len(text) <= 24 else f"{text[:10]}...{text[-8:]}"
