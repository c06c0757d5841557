"""Scanners and archives of others: DCMTK, pynetdicom, dcmjs-dimse and Orthanc, each with all that it can do here."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.dsutils import split_dataset

from gateway.wire.dimse import FindRequest, StoreRequest
from tests.peers.dcmjs import scu
from tests.peers.dcmtk import dcmtk, echoscu, findscu, storescu
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.process import NO_DELAY, run
from tests.wire.dimse.peers import HOST, match, serving
from tests.wire.dimse.shipped_files import shipped_files

__all__ = ["orthanc"]


@dataclass
class Site:
    """What handlers were asked, and what they answer: matches, and no end of them where a client is to cancel."""

    matches: int = 3
    is_endless: bool = False
    callers: set[str] = field(default_factory=set)
    stored: dict[str, bytes] = field(default_factory=dict)

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        self.callers.add(request.caller.calling_ae)
        for number in range(1, self.matches + 1):
            yield match(number, PatientName=f"Probe^{number}", AccessionNumber=f"A{number}")
        if self.is_endless:
            await asyncio.Event().wait()

    async def store(self, request: StoreRequest) -> None:
        self.callers.add(request.caller.calling_ae)
        self.stored[request.sop_instance_uid] = bytes(request.data)


@dataclass(frozen=True)
class File:
    path: Path
    data: bytes
    syntax: str
    instance: str


@cache
def bundled() -> list[File]:
    """pydicom's test files that have all that a C-STORE needs, of classes that are served, one of each instance."""
    known = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    found: dict[str, File] = {}
    for path in shipped_files():
        try:
            meta, offset = split_dataset(path)
        except InvalidDicomError:
            continue
        names = ("TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID")
        syntax, sop_class, instance = (str(meta.get(one) or "") for one in names)
        # Who writes data sets anew goes by what they say themselves.
        instance = str(dcmread(path, specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID") or instance)
        data = path.read_bytes()[offset:]
        if syntax and instance and sop_class in known and data:
            found.setdefault(instance, File(path, data, syntax, instance))
    return list(found.values())


def some_of_each_syntax() -> list[File]:
    """Three files at most."""
    found: dict[str, list[File]] = {}
    for one in bundled():
        found.setdefault(one.syntax, []).append(one)
    return [one for files in found.values() for one in files[:3]]


def test_there_are_enough_files() -> None:
    assert len(bundled()) > 60
    assert len({one.syntax for one in bundled()}) >= 10


async def test_dcmtk() -> None:
    site = Site()
    async with serving(find=site.find, store=site.store) as server:
        assert (await echoscu(server.port)).returncode == 0
        found = await findscu(server.port, "PatientName", "AccessionNumber")
        assert [str(one.AccessionNumber) for one in found.items] == ["A1", "A2", "A3"]
        site.is_endless = True
        command = ("--cancel", "2", "-aec", "GATEWAY", "-k", "PatientName", HOST, str(server.port))
        cancelled = await run("findscu", "-v", "-W", *command, env=NO_DELAY)
        assert "Cancel" in cancelled.stdout + cancelled.stderr
        files = bundled()
        # storescu proposes what it is told: each option stands for the syntaxes of some files.
        sent = await asyncio.gather(*(
            storescu(server.port, *(one.path for one in files if one.syntax == syntax), options=("-R", "-nh", option))
            for syntax, option in OPTIONS.items()
            if syntax in {one.syntax for one in files}
        ))  # fmt: skip
    assert [one.returncode for one in sent] == [0] * len(sent), [one.stderr[-500:] for one in sent if one.returncode]
    expected = {one.instance: one.path.name for one in bundled() if one.syntax in OPTIONS}
    not_sent = {name for instance, name in expected.items() if instance not in site.stored}
    assert not_sent == NOT_SENT_BY_DCMTK
    said = [line for one in sent for line in (one.stdout + one.stderr).splitlines() if "Store Response" in line]
    assert {line.partition("Store Response ")[2] for line in said} == {"(Success)"}


NOT_SENT_BY_DCMTK = {"priv_SQ.dcm", "SC_rgb_jpeg.dcm", "no_meta_group_length.dcm", "UN_sequence.dcm"}
"""It finds no SOP class or instance in their data sets."""
OPTIONS = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}
"""Transfer syntax -> DCMTK's option. The others (JPEG 57, HTJ2K, JPEG XL) storescu 3.6.7 has no option for."""


EXCHANGES, RUNS = 50, 8
DELAYED_ACKNOWLEDGEMENT_SECONDS = 0.04
"""The least that Linux waits with an acknowledgement that is not asked for."""


@pytest.mark.parametrize(
    "command",
    [("echoscu",), ("storescu", str(get_testdata_file("CT_small.dcm")))],
    ids=lambda command: str(command[0]),
)
async def test_dcmtk_as_it_is_packaged_waits_for_no_acknowledgement(command: tuple[str, ...]) -> None:
    """Without TCP_NODELAY it holds the body of a PDU back until its header has been acknowledged.

    An exchange that waits takes 40 ms longer than the same with TCP_NODELAY, whatever the machine. The best run of each
    kind counts, so that a busy machine does not fail the test.
    """
    name, *files = command
    repeated = (dcmtk(name), "-aec", "GATEWAY", "--repeat", str(EXCHANGES - 1))
    waited = EXCHANGES * DELAYED_ACKNOWLEDGEMENT_SECONDS
    seconds: dict[str | None, list[float]] = {None: [], "1": []}
    async with serving() as server:

        async def timed(no_delay: str | None) -> None:
            begun = time.monotonic()
            done = await run(*repeated, HOST, str(server.port), *files, env={"TCP_NODELAY": no_delay})
            seconds[no_delay].append(time.monotonic() - begun)
            assert done.returncode == 0, done.stderr

        await timed(None)
        while min(seconds[None]) >= waited * 0.75 + min(seconds["1"], default=0.0) and len(seconds["1"]) < RUNS:
            await timed("1")
            await timed(None)
    assert min(seconds[None]) < waited * 0.75 + min(seconds["1"], default=0.0)


async def test_the_programs_of_pynetdicom(tmp_path: Path) -> None:
    site = Site()

    async def app(*command: str) -> str:
        done = await run(sys.executable, "-m", "pynetdicom", *command, env=NO_DELAY)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    async with serving(find=site.find, store=site.store) as server:
        address = (HOST, str(server.port), "-aec", "GATEWAY")
        assert "Received Echo Response (Status: 0x0000 - Success)" in await app("echoscu", *address, "-v")
        told = await app("findscu", *address, "-v", "-W", "-k", "PatientName=", "-k", "AccessionNumber=")
        assert told.count("Find SCP Response") >= 3
        await app("storescu", *address, "-v", "-cx", str(bundled()[0].path))
    assert set(site.stored) == {bundled()[0].instance}
    assert {"ECHOSCU", "FINDSCU", "STORESCU"} >= site.callers


OF_THE_SERVER = {"Error: Connection closed", "Error: read ECONNRESET", "Error: write EPIPE"}


async def test_dcmjs_dimse() -> None:
    site = Site()
    async with serving(find=site.find, store=site.store) as server:
        assert (await scu(server.port, "echo"))["statuses"] == [["echo", 0x0000]]
        found = await scu(server.port, "find")
        assert [status for _, status in found["statuses"]] == [0xFF00] * 3 + [0x0000]
        assert [one["AccessionNumber"] for one in found["items"]] == ["A1", "A2", "A3"]
        site.is_endless = True
        cancelled = await scu(server.port, "cancel")
        assert cancelled["statuses"][-1] == ["find", 0xFE00]
        files = some_of_each_syntax()
        told = await scu(server.port, "store", *(one.path for one in files))
    assert {status for _, status in told["statuses"]} == {0x0000}
    by_path = {str(one.path): one.instance for one in files}
    assert {by_path[path] for path, _ in told["statuses"]} == set(site.stored)
    # What it does not send it does not because of itself: values or files that it cannot read or write.
    assert set(told["unsendable"].values()).isdisjoint(OF_THE_SERVER), told["unsendable"]
    assert len(site.stored) + len(told["unsendable"]) == len(files)
    assert len(site.stored) > 15
    assert "DCMJS" in site.callers


@pytest.mark.usefixtures("orthanc")
async def test_orthanc(orthanc: Orthanc) -> None:
    site = Site()
    async with serving(find=site.find, store=site.store) as server:
        await orthanc.knows("GATEWAY", server.port)
        await orthanc.echo()
        found = await orthanc.find_worklist({"PatientName": "", "AccessionNumber": ""})
        assert [one["AccessionNumber"] for one in found] == ["A1", "A2", "A3"]
        taken = await orthanc.upload_all(*(one.path for one in some_of_each_syntax()))
        report = await orthanc.send_to("GATEWAY", server.port)
        assert (report["InstancesCount"], report["FailedInstancesCount"]) == (taken, 0)
    assert len(site.stored) == taken
    assert taken > 15
    assert "ORTHANC" in site.callers


async def test_what_each_sends_arrives_as_it_is() -> None:
    """Byte for byte from the programs that do not write data sets anew."""
    site = Site()
    plain = [one for one in bundled() if one.syntax == "1.2.840.10008.1.2.1"][:10]
    async with serving(store=site.store) as server:
        found: Any = await storescu(server.port, *(one.path for one in plain), options=("-R", "-xe"))
        assert found.returncode == 0
    assert set(site.stored) == {one.instance for one in plain}
