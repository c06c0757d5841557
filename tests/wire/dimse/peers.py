"""A DICOM server to be tested, and the peers that test it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    CTImageStorage,
    ModalityWorklistInformationFind,
    Verification,
)

from gateway.wire.dimse import AcceptorPolicy, DimseServer, FindRequest, StoreRequest
from tests.peers.pynetdicom_scu import associate

HOST = "127.0.0.1"
PEER: dict[str, Any] = {"called_ae": "GATEWAY", "calling_ae": "CT1", "timeout": 60.0}
WORKLIST = build_context(ModalityWorklistInformationFind, ExplicitVRLittleEndian)
ECHO = build_context(Verification)
CT = build_context(CTImageStorage, ExplicitVRLittleEndian)


def match(number: int, **values: Any) -> Dataset:
    found = Dataset()
    found.PatientID = f"P{number}"
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def key(**values: Any) -> Dataset:
    identifier = Dataset()
    identifier.PatientID = ""
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def instance() -> Dataset:
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = "1.2.3.4"
    made.PatientName = "Probe^Anna"
    return made


async def no_matches(request: FindRequest) -> AsyncIterator[Dataset]:
    for one in list[Dataset]():
        yield one


async def accept(request: StoreRequest) -> None:
    return None


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[DimseServer]:
    """Options of `Policy` and of `DimseServer`."""
    names = {field.name for field in fields(AcceptorPolicy)}
    policy = AcceptorPolicy(**{"ae_title": "GATEWAY"} | {name: options.pop(name) for name in names & options.keys()})
    settings: dict[str, Any] = {
        "policy": policy,
        "find": no_matches,
        "store": accept,
        "implementation_uid": "1.2.826.0.1.3680043.8.498.1",
        **options,
    }
    server = DimseServer(**settings)
    await server.start(HOST, 0)
    try:
        yield server
    finally:
        await server.stop(0)


@contextmanager
def associated(port: int, *contexts: Any, calling: str = "CT1", called: str = "GATEWAY") -> Iterator[Any]:
    """An association of pynetdicom's SCU, established or not; blocks, so it belongs into a thread."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    association = associate(entity, port, contexts=list(contexts), called=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


async def tool(*command: str, **environment: str) -> tuple[int, str]:
    """Run a program of DCMTK: its exit code, and what it wrote to either stream."""
    assert shutil.which(command[0]), f"{command[0]} is missing: apt-get install dcmtk"
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TCP_NODELAY": "1", **environment},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode("latin-1")


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


def statuses(port: int, identifier: Dataset) -> list[Dataset]:
    """The status of each response to a worklist query."""
    with associated(port, WORKLIST) as association:
        return [status for status, _ in association.send_c_find(identifier, ModalityWorklistInformationFind)]
