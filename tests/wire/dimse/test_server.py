"""Queries and storage, asked by DCMTK's findscu and storescu and by pynetdicom's SCU."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import split_dataset
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    ModalityWorklistInformationFind,
)

from gateway.errors import (
    Conflict,
    InvalidValue,
    Malformed,
    RequiredMissing,
    Unavailable,
    UnsupportedType,
)
from gateway.long_work import LONG_BYTES
from gateway.wire.dimse import Caller, DimseFailure, FindRequest, StoreRequest, client
from gateway.wire.dimse.header import read_header, split_header
from gateway.wire.dimse.identifier import Identifier
from tests.peers.pynetdicom_scu import exchange
from tests.wire.dimse import raw_peer
from tests.wire.dimse.peers import (
    CT,
    ECHO,
    HOST,
    PEER,
    WORKLIST,
    associated,
    instance,
    key,
    match,
    serving,
    statuses,
    tool,
    until,
)
from tests.wire.dimse.shipped_files import shipped_files


async def test_echo() -> None:
    async with serving() as server:
        code, output = await tool("echoscu", "-v", "-aec", "GATEWAY", HOST, str(server.port))
        assert code == 0, output
        assert "Received Echo Response (Success)" in output
        await client.echo(HOST, server.port, **PEER)
        await until(lambda: server.associations == 0)


async def test_findscu_gets_each_match_and_a_final_success() -> None:
    asked: list[tuple[Caller, Identifier, int]] = []

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        asked.append((request.caller, request.identifier, threading.get_ident()))
        yield match(1, PatientName="Probe^Anna")
        await asyncio.sleep(0)
        yield match(2, PatientName="Probe^Bert")

    async with serving(find=find) as server:
        command = ("findscu", "-v", "-W", "-aet", "CT1", "-aec", "GATEWAY", HOST, str(server.port))
        code, output = await tool(*command, "-k", "PatientName=PROBE*", "-k", "PatientID")
    assert code == 0, output
    assert output.count("(Pending)") == 2
    assert "[Probe^Anna" in output
    assert "[Probe^Bert" in output
    assert "Received Final Find Response (Success)" in output
    ((caller, identifier, thread),) = asked
    assert caller == Caller(calling_ae="CT1", called_ae="GATEWAY", address=HOST)
    assert {tag: key.values for tag, key in identifier.items()} == {0x00100010: ("PROBE*",), 0x00100020: ()}
    assert thread == threading.get_ident()


async def test_no_match_is_a_single_success() -> None:
    async with serving() as server:
        (status,) = await asyncio.to_thread(statuses, server.port, key())
    assert status.Status == 0x0000


async def test_a_thousand_matches_arrive_in_order_while_the_loop_stays_free() -> None:
    turns = 0
    turns_of_matches: set[int] = set()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number in range(1000):
            turns_of_matches.add(turns)
            yield match(number)

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with serving(find=find) as server:
        watching = asyncio.create_task(watch())
        found = await client.find_worklist(HOST, server.port, key(), **PEER)
        watching.cancel()
    assert [one.PatientID for one in found] == [f"P{number}" for number in range(1000)]
    assert len(turns_of_matches) > 1, "others have their turn before the last match"


async def test_responses_are_encoded_in_their_own_character_set() -> None:
    names = {"ISO_IR 100": "Müller^Jürgen", "ISO_IR 192": "山田^太郎", "ISO_IR 144": "Иванов^Петр"}

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number, (character_set, name) in enumerate(names.items()):
            yield match(number, SpecificCharacterSet=character_set, PatientName=name)

    async with serving(find=find) as server:
        found = await client.find_worklist(HOST, server.port, key(), **PEER)
    assert {one.SpecificCharacterSet: str(one.PatientName) for one in found} == names


@pytest.mark.parametrize(
    ("error", "status", "comment"),
    [
        (DimseFailure(0xA700, "too many matches"), 0xA700, "too many matches"),
        (DimseFailure(0xC123, "Größe " + "x" * 100), 0xC123, "Gr??e " + "x" * 58),
        (DimseFailure(0x0124), 0x0124, None),
        (Unavailable("db: Probe^Anna"), 0xC001, "Unavailable"),
        (InvalidValue("Probe^Anna", place="PatientBirthDate"), 0xA900, "InvalidValue: PatientBirthDate"),
        (RuntimeError("Probe^Anna"), 0xC001, "RuntimeError"),
        (TimeoutError(), 0xC001, "TimeoutError"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_failures_of_a_query(error: Exception, status: int, comment: str | None) -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield match(1)
        raise error

    async with serving(find=find) as server:
        first, last = await asyncio.to_thread(statuses, server.port, key())
        assert first.Status == 0xFF00
        assert (last.Status, last.get("ErrorComment")) == (status, comment)


@pytest.mark.parametrize(
    ("error", "status", "comment"),
    [
        (DimseFailure(0xB000, "coerced"), 0xB000, "coerced"),
        (Unavailable("disk full"), 0xA700, "Unavailable"),
        (Malformed("Probe^Anna", place="(0010,0010)"), 0xC000, "Malformed: (0010,0010)"),
        (RequiredMissing("none", place="StudyInstanceUID"), 0xA900, "RequiredMissing: StudyInstanceUID"),
        (UnsupportedType("no"), 0x0122, "UnsupportedType"),
        (Conflict("other content"), 0x0111, "Conflict"),
        (KeyError("Probe^Anna"), 0x0110, "KeyError"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_failures_of_a_store(error: Exception, status: int, comment: str) -> None:
    async def store(request: StoreRequest) -> None:
        raise error

    def send(port: int) -> Dataset:
        made = instance()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        with associated(port, CT) as association:
            answered: Dataset = association.send_c_store(made)
            return answered

    async with serving(store=store) as server:
        answered = await asyncio.to_thread(send, server.port)
        assert (answered.Status, answered.ErrorComment) == (status, comment)
        assert await client.store(HOST, server.port, [instance()], **PEER) == [("1.2.3.4", status)]


async def test_cancel_stops_the_generator_and_is_answered_fe00() -> None:
    closed = asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        try:
            yield match(1)
            await asyncio.Event().wait()
        finally:
            closed.set()

    def ask(port: int) -> list[int]:
        with associated(port, WORKLIST) as association:
            got = []
            for status, _ in association.send_c_find(key(), ModalityWorklistInformationFind, msg_id=7):
                got.append(status.Status)
                if len(got) == 1:
                    association.send_c_cancel(7, query_model=ModalityWorklistInformationFind)
            return got

    async with serving(find=find) as server:
        assert await asyncio.to_thread(ask, server.port) == [0xFF00, 0xFE00]
        await asyncio.wait_for(closed.wait(), 60)


async def test_cancel_reaches_a_generator_that_never_waits() -> None:
    """Nor ends. A peer in this loop is not slower than the server on a busy machine, as another process may be."""
    produced = itertools.count()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number in produced:
            yield match(number)

    async with serving(find=find) as server:
        command = ("findscu", "-v", "-W", "--cancel", "3", "-aec", "GATEWAY", HOST, str(server.port))
        code, output = await tool(*command, "-k", "PatientID")
        async with raw_peer.associated(server.port) as peer:
            peer.send(raw_peer.find_rq(5))
            assert await peer.status() == (5, 0xFF00)
            before = next(produced)
            peer.send(raw_peer.cancel_rq(5))
            while (status := await peer.status()) == (5, 0xFF00):
                pass
    assert code == 0, output
    assert "Received Final Find Response (Cancel" in output
    assert status == (5, 0xFE00)
    assert next(produced) - before < 5000


async def test_a_peer_that_vanishes_closes_the_generator() -> None:
    closed = asyncio.Event()
    begun = asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        try:
            begun.set()
            await asyncio.Event().wait()
            yield match(1)
        finally:
            closed.set()

    async with serving(find=find) as server:
        process = await asyncio.create_subprocess_exec(
            *("findscu", "-W", "-aec", "GATEWAY", "-k", "PatientID", HOST, str(server.port)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await asyncio.wait_for(begun.wait(), 60)
        process.kill()
        await process.wait()
        await asyncio.wait_for(closed.wait(), 60)
        await until(lambda: server.associations == 0)


def raw_find(association: Any, identifier: bytes) -> Dataset:
    """A C-FIND whose identifier is any bytes at all; the status of its response."""
    request = C_FIND()
    request.MessageID = 1
    request.AffectedSOPClassUID = ModalityWorklistInformationFind
    request.Priority = 2
    request.Identifier = BytesIO(identifier)
    response = exchange(association, request)
    status = Dataset()
    status.Status, status.ErrorComment = response.Status, response.ErrorComment
    return status


@pytest.mark.parametrize(
    ("identifier", "comment"),
    [
        (b"\x10\x00\x20\x00LO\x40\x00ABC", "Malformed: (0010,0020)"),
        (b"\x10\x00\x20\x00XX\x06\x00ABCD", "Malformed: (0010,0020)"),
        (b"\x10\x00\x20\x00LO\x04\x00ABCD\xff\xff\xff", "Malformed: data set"),
        (b"\x20\x00\x13\x00IS\x04\x00abcd", "Malformed: (0020,0013)"),
        (b"\x40\x00\x00\x01SQ\x00\x00\x04\x00\x00\x00junk", "Malformed: (0040,0100)"),
    ],
)
async def test_an_identifier_that_cannot_be_decoded(identifier: bytes, comment: str) -> None:
    def ask(port: int) -> tuple[Dataset, int]:
        with associated(port, WORKLIST, ECHO) as association:
            refused = raw_find(association, identifier)
            return refused, association.send_c_echo().Status

    async with serving() as server:
        refused, echoed = await asyncio.to_thread(ask, server.port)
    assert (refused.Status, refused.ErrorComment) == (0xA900, comment)
    assert echoed == 0x0000


async def test_an_identifier_that_would_keep_others_waiting_is_refused() -> None:
    tags = (b"\x10\x00\x10\x00", b"\x10\x00\x20\x00", b"\x10\x00\x21\x00", b"\x10\x00\x00\x20", b"\x10\x00\x10\x21")
    long = b"".join(tag + b"LO" + (60_000).to_bytes(2, "little") + b"A" * 60_000 for tag in tags)

    def ask(port: int) -> Dataset:
        with associated(port, WORKLIST) as association:
            return raw_find(association, long)

    async with serving() as server:
        refused = await asyncio.to_thread(ask, server.port)
    assert (refused.Status, refused.ErrorComment) == (0xA700, "TooLarge: identifier")


@pytest.mark.parametrize(
    ("character_set", "name", "expected"),
    [
        (b"ISO_IR 192", "Müller*".encode(), "Müller*"),
        (b"ISO_IR 100", "Müller*".encode("latin-1"), "Müller*"),
        (b"", b"Muller*", "Muller*"),
        (b"", "Müller*".encode(), "Müller*"),
        (b"", "NOVAKOVIŠ*".encode("cp1252"), "NOVAKOVIŠ*"),
        (b"ISO_IR 6", "Müller*".encode(), "Müller*"),
        (b"ISO_IR 100", "NOVAKOVIŠ*".encode("cp1252"), "NOVAKOVIŠ*"),
        (b"NO_SUCH_1 ", "Müller*".encode("latin-1"), "M?ller*"),
    ],
)
async def test_character_sets_of_identifiers(character_set: bytes, name: bytes, expected: str) -> None:
    names: list[str] = []

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        names.extend(request.identifier[0x00100010].values)
        for one in list[Dataset]():
            yield one

    encoded = b"\x08\x00\x05\x00CS" + len(character_set).to_bytes(2, "little") + character_set
    encoded += b"\x10\x00\x10\x00PN" + len(name).to_bytes(2, "little") + name

    def ask(port: int) -> int:
        with associated(port, WORKLIST) as association:
            return int(raw_find(association, encoded).Status)

    async with serving(find=find) as server:
        assert await asyncio.to_thread(ask, server.port) == 0x0000
    assert names == [expected]


def storable() -> dict[Path, tuple[bytes, str, str, str]]:
    """pydicom's files that can be sent: data set, transfer syntax, SOP class, SOP instance."""
    found = {}
    for path in shipped_files():
        try:
            meta, offset = split_dataset(path)
        except InvalidDicomError:
            continue
        syntax, sop_class, uid = (
            str(meta.get(keyword) or "")
            for keyword in ("TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID")
        )
        if syntax and sop_class and uid:
            found[path] = (path.read_bytes()[offset:], syntax, sop_class, uid)
    return found


async def test_every_test_file_arrives_byte_for_byte_in_its_own_transfer_syntax() -> None:
    got: list[StoreRequest] = []

    async def store(request: StoreRequest) -> None:
        got.append(request)

    known = {context.abstract_syntax for context in AllStoragePresentationContexts}
    files = {path: file for path, file in storable().items() if file[2] in known and file[0]}
    assert len(files) > 120
    assert len({file[1] for file in files.values()}) >= 12
    async with serving(store=store) as server:
        outcome = await client.store(HOST, server.port, list(files), **PEER)
    assert outcome == [(file[3], 0x0000) for file in files.values()]
    for request, (data, syntax, sop_class, uid) in zip(got, files.values(), strict=True):
        assert request.data == data
        caller = Caller("CT1", "GATEWAY", HOST)
        assert request == StoreRequest(caller, sop_class, uid, syntax, data)


async def test_where_headers_are_enough_pixels_are_dropped_as_they_come() -> None:
    got: list[StoreRequest] = []

    async def store(request: StoreRequest) -> None:
        got.append(request)

    known = {context.abstract_syntax for context in AllStoragePresentationContexts}
    files = {path: file for path, file in storable().items() if file[2] in known and file[0]}
    async with serving(store=store, headers_only=True, max_bytes=LONG_BYTES) as server:
        outcome = await client.store(HOST, server.port, list(files), **PEER)
    assert outcome == [(file[3], 0x0000) for file in files.values()]
    shorter = 0
    for request, (data, syntax, _, _) in zip(got, files.values(), strict=True):
        if len(request.data) == len(data):
            assert request.data[:] == data
            continue
        shorter += 1
        assert data.startswith(request.data)
        assert split_header(request.data, syntax) == split_header(data, syntax)
        assert len(request.data) <= 2 * LONG_BYTES
    assert shorter > 5


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("CT_small.dcm", "-xe"),
        ("MR_small_implicit.dcm", "-xi"),
        ("MR_small_bigendian.dcm", "-xb"),
        ("JPGExtended.dcm", "-xx"),
        ("SC_rgb_jpeg_dcmtk.dcm", "-xy"),
        ("JPEG2000.dcm", "-xw"),
        ("MR_small_RLE.dcm", "-xr"),
        ("image_dfl.dcm", "-xd"),
    ],
)
async def test_storescu(name: str, option: str) -> None:
    got: list[StoreRequest] = []

    async def store(request: StoreRequest) -> None:
        got.append(request)

    path = get_testdata_file(name)
    assert isinstance(path, str)
    expected = dcmread(path, stop_before_pixels=True)
    async with serving(store=store) as server:
        code, output = await tool("storescu", "-v", "-R", option, "-aec", "GATEWAY", HOST, str(server.port), path)
    assert code == 0, output
    (request,) = got
    assert request.transfer_syntax_uid == expected.file_meta.TransferSyntaxUID
    header = split_header(request.data, request.transfer_syntax_uid)
    read = read_header(header, request.transfer_syntax_uid)
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "PatientID", "Modality", "Rows"):
        assert read.get(keyword) == expected.get(keyword)
