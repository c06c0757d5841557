"""Orthanc and dcmqrscp as archives that are queried, with small studies in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from gateway.simulators.studies import perform
from gateway.wire.dimse import client
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from tests.peers.dcmqrscp import TITLE, dcmqrscp
from tests.peers.orthanc import running_orthanc

HOST = "127.0.0.1"
OURS = "GATEWAY"


@dataclass(frozen=True)
class QueryArchive:
    title: str
    port: int

    def peer(self) -> RequestedPeer:
        """The archive as the gateway calls it."""
        return RequestedPeer(HOST, self.port, self.title, OURS, Timeouts.of(120.0))

    async def take(self, datasets: list[Dataset]) -> None:
        """Store these."""
        stored = await client.store(HOST, self.port, datasets, called_ae=self.title, calling_ae=OURS, timeout=120)
        assert {status for _, status in stored} == {0}


def uid_of(number: int) -> str:
    """Study Instance UID of a made-up study."""
    return f"1.2.826.0.1.3680043.8.498.7.{number}"


def made_up(number: int, *, date: str = "20260105", time: str = "", modality: str = "CT", **size: Any) -> list[Dataset]:
    """The instances of a study with accession number `A<number>`; `size`: series, and instances of each."""
    item, step = Dataset(), Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.PatientName, item.PatientID, item.AccessionNumber = f"Probe^Änna {number}", f"P{number}", f"A{number}"
    item.StudyInstanceUID = uid_of(number)
    item.RequestedProcedureID, item.RequestedProcedureDescription = f"R{number}", "Thorax"
    step.Modality, step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = modality, "S1", "Series"
    step.ScheduledProcedureStepStartDate = date
    step.ScheduledProcedureStepStartTime = time or f"{8 + number // 3600 % 12:02}{number // 60 % 60:02}{number % 60:02}"
    item.ScheduledProcedureStepSequence = [step]
    return perform(item, **{"series": 1, "instances": 2, **size})


@contextmanager
def orthanc_archive(gateway_port: int = 104, **options: Any) -> Iterator[QueryArchive]:
    """An empty Orthanc that knows the gateway; `gateway_port`: where it moves instances to."""
    modalities = {"gateway": [OURS, HOST, gateway_port]}
    with running_orthanc(DicomModalities=modalities, **options) as orthanc:
        yield QueryArchive(orthanc.ae_title, orthanc.dicom_port)


@contextmanager
def dcmqrscp_archive(gateway_port: int = 104) -> Iterator[QueryArchive]:
    """An empty dcmqrscp that knows the gateway."""
    with dcmqrscp({OURS: gateway_port}) as port:
        yield QueryArchive(TITLE, port)


KINDS = {"orthanc": orthanc_archive, "dcmqrscp": dcmqrscp_archive}
