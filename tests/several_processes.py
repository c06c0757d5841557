"""A gateway of several processes: what it is configured with, its processes, and examinations whose users lose
connections and go on."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from pydicom.dataset import Dataset
from sqlalchemy import Table, func, select

from gateway.errors import GatewayError, Unavailable
from gateway.simulators import modality, ris, studies
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store, outbox_listing
from gateway.wire.hl7.mllp_client import MllpClient
from tests.conftest import comes_true

HOST: Final = "127.0.0.1"
PATIENT_SECONDS: Final = 120.0
TOKEN: Final = "a-token-of-24-characters"


def configuration(database_url: str, ehr_url: str = "", **sections: Any) -> str:
    """Of a gateway on free ports, for an EHR."""
    settings: dict[str, Any] = {
        "database": {"url": database_url},
        "site": {"name": "Test site", "patient_id_issuer": "RIS", "identifier_systems": {"RIS": "urn:oid:2.25.1"}},
        "hl7": {"listeners": [{"name": "ris", "port": 0, "conformance": "off"}]},
        "dicom": {"port": 0},
        "http": {"port": 0, "token": TOKEN},
        "studies": {"quiet_seconds": 0.3},
        **sections,
    }
    if ehr_url:
        retry = {"first_seconds": 0.2, "max_seconds": 1}
        settings["ehrs"] = [{"name": "main", "url": ehr_url, "timeout_seconds": PATIENT_SECONDS, "retry": retry}]
    return json.dumps(settings)


class Ports:
    """The ports of a gateway, as it states them when it is ready."""

    def __init__(self, output: str) -> None:
        found = re.search(r"ready: HL7 ris (\d+), DICOM (\d+), console http://127.0.0.1:(\d+)/", output)
        assert found is not None, output
        self.hl7, self.dicom, self.http = map(int, found.groups())

    async def asked(self, path: str, method: str = "GET") -> str:
        """The body of an answer, over a connection of its own."""
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
            session.request(method, f"http://{HOST}:{self.http}{path}") as answer,
        ):
            return await answer.text()

    async def counted(self, metric: str) -> Counter[str]:
        """Number of a process -> what it has counted of a metric, over all its labels."""
        counts: Counter[str] = Counter()
        for labels, value in re.findall(rf"^{metric}{{(.*)}} ([\d.e+]+)$", await self.asked("/metrics"), re.MULTILINE):
            [process] = re.findall(r'process="(\d+)"', labels)
            counts[process] += int(float(value))
        return counts


def processes_of(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(one) for one in tasks.split()]


class Examinations:
    """Orders over connections of their own, and for each the study that a modality makes of its worklist item. Who
    loses a connection connects again and sends the same once more."""

    def __init__(self, ports: Ports, exams: Iterable[ris.Exam]) -> None:
        self._ports = ports
        self._waiting = list(exams)
        self.number = len(self._waiting)
        self.acknowledged = 0
        self.done = 0
        self.lost = 0
        """Connections that ended amid something."""

    async def run(self, senders: int) -> None:
        """Examine all, so many at a time."""
        await asyncio.gather(*(self._sender() for _ in range(senders)))

    async def _sender(self) -> None:
        client = MllpClient(HOST, self._ports.hl7, timeout=PATIENT_SECONDS)
        while self._waiting:
            exam = self._waiting.pop()
            await self._order(client, exam)
            self.acknowledged += 1
            item = await self._item(exam)
            await self._stored(studies.perform(item, series=1, instances=2))
            self.done += 1
        await client.close()

    async def _order(self, client: MllpClient, exam: ris.Exam) -> None:
        while True:
            try:
                await client.open()
                answer = await client.send(exam.hl7())
                assert b"MSA|AA|" in answer, answer
                return
            except Unavailable:
                self.lost += 1

    async def _item(self, exam: ris.Exam) -> Dataset:
        """The item of an order that has its AA: in the first answer, whichever process gives it."""
        while True:
            try:
                [item] = await modality.query(
                    HOST, self._ports.dicom, accession_number=exam.accession_number, timeout=PATIENT_SECONDS
                )
                return item
            except GatewayError:
                self.lost += 1

    async def _stored(self, study: list[Dataset]) -> None:
        while True:
            try:
                await modality.send(HOST, self._ports.dicom, study, timeout=PATIENT_SECONDS)
                return
            except GatewayError:
                self.lost += 1


async def count(store: Store, table: Table) -> int:
    """How many rows a table has."""
    number = select(func.count()).select_from(table)
    return int(await store.read(lambda connection: connection.execute(number).scalar_one()))


async def all_delivered(store: Store) -> None:
    """Wait until nothing waits in the outbox, and fail where something needs a person."""

    async def waiting() -> list[tuple[str, str, int]]:
        counts = await store.read(outbox_listing.counts)
        return [(kind, state, number) for kind, state, number in counts if not kind.startswith("verify")]

    assert not await comes_true(waiting, lambda counts: all(state == "parked" for _, state, _ in counts))


def held(ehr: EhrSimulator) -> Mapping[str, int]:
    """Study Instance UID -> how often the EHR holds the study."""
    return Counter(str(one["identifier"][0]["value"]) for one in ehr.resources("ImagingStudy"))
