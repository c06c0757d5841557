"""C-FIND, C-GET and C-MOVE at Orthanc, dcmqrscp, and archives that do whatever a test says."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE, evt

from bench.ports import free_port
from gateway.errors import GatewayError, NeedsPerson, Unavailable, UnsupportedType
from gateway.wire.dimse import StoreRequest, requestor_query
from gateway.wire.dimse.identifier import Identifier
from gateway.wire.dimse.requestor import associated
from gateway.wire.dimse.requestor_operations import proposals
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from gateway.wire.dimse.requestor_query import FIND, GET, MOVE, LimitedAnswersError, find
from gateway.wire.dimse.requestor_retrieve import get, move, moving, retrieving
from gateway.wire.dimse.statuses import DimseFailure
from tests.peers.query_archives import KINDS, OURS, QueryArchive, made_up, orthanc_archive, uid_of
from tests.wire.dimse.peers import HOST, accept, serving
from tests.wire.dimse.raw_peer import EXPLICIT, RawPeer, command, item, pdu, pdv
from tests.wire.dimse.test_requestor import Script, scripted

LARGE = 1 << 30
STUDY = {"StudyInstanceUID": "", "PatientName": "", "AccessionNumber": "", "NumberOfStudyRelatedInstances": ""}
MOVED_TO = free_port()


@pytest.fixture(scope="module", params=KINDS)
def archive(request: pytest.FixtureRequest) -> Iterator[QueryArchive]:
    """With the studies 1 to 4, of two instances each; the last is MR."""
    with KINDS[request.param](MOVED_TO) as made:
        studies = [made_up(number, modality="MR" if number == 4 else "CT") for number in range(1, 5)]
        asyncio.run(made.take([one for study in studies for one in study]))
        yield made


def text(identifier: Identifier, keyword: str) -> str | None:
    """A value; None for an attribute that is not in the answer."""
    for tag, key in identifier.items():
        if keyword_for_tag(tag) == keyword:
            return "\\".join(key.values)
    return None


async def test_studies_series_and_images_are_found(archive: QueryArchive) -> None:
    uid = uid_of(2)
    async with associated(archive.peer(), proposals(FIND)) as association:
        studies = await find(association, "STUDY", STUDY | {"StudyDate": "20260101-20260131"}, most=4)
        (other,) = (await find(association, "STUDY", STUDY | {"PatientName": "Probe^Änna 2*"}, most=4)).identifiers
        none = await find(association, "STUDY", STUDY | {"StudyDate": "20250101-20250131"}, most=4)
        series = await find(association, "SERIES", {"StudyInstanceUID": uid, "SeriesInstanceUID": ""}, most=4)
        of_series = {
            "StudyInstanceUID": uid,
            "SeriesInstanceUID": text(series.identifiers[0], "SeriesInstanceUID") or "",
        }
        images = await find(association, "IMAGE", of_series | {"SOPInstanceUID": ""}, most=4)
    assert sorted(text(one, "StudyInstanceUID") or "" for one in studies.identifiers) == [*map(uid_of, range(1, 5))]
    assert {text(one, "PatientName") for one in studies.identifiers} >= {"Probe^Änna 2"}
    assert text(other, "AccessionNumber") == "A2"
    assert (len(none.identifiers), len(series.identifiers), len(images.identifiers)) == (0, 1, 2)


async def test_an_absent_count_is_not_0(archive: QueryArchive) -> None:
    async with associated(archive.peer(), proposals(FIND)) as association:
        (one,) = (await find(association, "STUDY", STUDY | {"AccessionNumber": "A1"}, most=4)).identifiers
    assert text(one, "NumberOfStudyRelatedInstances") == ("2" if archive.title == "ORTHANC" else None)


async def test_more_answers_than_are_taken_are_cancelled_and_the_association_lives_on(archive: QueryArchive) -> None:
    async with associated(archive.peer(), proposals(FIND)) as association:
        with pytest.raises(LimitedAnswersError, match="more than 3 answers"):
            await find(association, "STUDY", STUDY, most=3)
        assert len((await find(association, "STUDY", STUDY, most=4)).identifiers) == 4


async def test_a_get_stores_over_its_own_association(archive: QueryArchive) -> None:
    kept: list[StoreRequest] = []

    async def store(request: StoreRequest) -> None:
        kept.append(request)

    async with retrieving(archive.peer(), [CTImageStorage], store, max_bytes=LARGE) as association:
        whole = await get(association, "STUDY", {"StudyInstanceUID": uid_of(1)})
        image = {"StudyInstanceUID": uid_of(1), "SeriesInstanceUID": made_up(1)[0].SeriesInstanceUID}
        single = await get(association, "IMAGE", image | {"SOPInstanceUID": made_up(1)[0].SOPInstanceUID})
    wanted = [str(one.SOPInstanceUID) for one in made_up(1)]
    assert sorted(one.sop_instance_uid for one in kept) == sorted([*wanted, wanted[0]])
    assert {(one.caller.calling_ae, one.transfer_syntax_uid) for one in kept} == {(archive.title, EXPLICIT)}
    assert (whole.status, whole.sub_operations.completed, single.sub_operations.completed) == (0, 2, 1)


async def test_without_a_known_class_any_is_taken_and_what_is_not_kept_has_failed(archive: QueryArchive) -> None:
    refused = {str(one.SOPInstanceUID) for one in made_up(4)[:1]}

    async def refuse(request: StoreRequest) -> None:
        if request.sop_instance_uid in refused:
            raise DimseFailure(0xA700, "no room")

    async with retrieving(archive.peer(), [], refuse, max_bytes=LARGE) as association:
        ended = await get(association, "STUDY", {"StudyInstanceUID": uid_of(4)})
        refused |= {str(one.SOPInstanceUID) for one in made_up(4)}
        with pytest.raises(Unavailable, match="A702: no sub-operation succeeded"):
            await get(association, "STUDY", {"StudyInstanceUID": uid_of(4)})
    assert (ended.status, ended.sub_operations.completed, ended.sub_operations.failed) == (0xB000, 1, 1)


async def test_a_move_goes_to_the_port_that_the_archive_knows(archive: QueryArchive) -> None:
    kept: list[str] = []

    async def store(request: StoreRequest) -> None:
        kept.append(request.sop_instance_uid)

    async with serving(store=store) as server, moving(archive.peer()) as association:
        await server.start(HOST, MOVED_TO)
        ended = await move(association, "STUDY", {"StudyInstanceUID": uid_of(3)}, OURS)
        with pytest.raises(GatewayError, match="C-MOVE status"):
            await move(association, "STUDY", {"StudyInstanceUID": uid_of(3)}, "NOBODY")
    assert (len(kept), ended.status) == (2, 0)


async def test_an_archive_that_limits_its_answers() -> None:
    with orthanc_archive(LimitFindResults=2) as limited:
        await limited.take([one for number in range(1, 4) for one in made_up(number, instances=1)])
        async with associated(limited.peer(), proposals(FIND)) as association:
            with pytest.raises(LimitedAnswersError, match="FE00"):
                await find(association, "STUDY", STUDY, most=100)


@contextmanager
def answering(*answers: tuple[int, Dataset | None]) -> Iterator[RequestedPeer]:
    """An archive that answers every operation with these statuses."""
    entity = AE()
    for one in (FIND, GET, MOVE):
        entity.add_supported_context(one)
    entity.add_supported_context(CTImageStorage, scu_role=False, scp_role=True)

    def respond(_event: evt.Event) -> Iterator[Any]:
        yield from answers

    def moved(_event: evt.Event) -> Iterator[Any]:
        yield HOST, MOVED_TO
        yield 0
        yield from answers

    handlers: list[Any] = [(evt.EVT_C_FIND, respond), (evt.EVT_C_MOVE, moved)]
    server = entity.start_server((HOST, 0), block=False, evt_handlers=handlers)
    try:
        yield RequestedPeer(HOST, server.socket.getsockname()[1], "ANY", OURS, Timeouts.of(120))
    finally:
        server.shutdown()


def match(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (0xA700, LimitedAnswersError, "A700: out of resources"),
        (0xFE00, LimitedAnswersError, "FE00: matching was ended"),
        (0xA900, NeedsPerson, "A900: the identifier does not match"),
        (0x0122, NeedsPerson, "0122: the SOP class is not supported"),
        (0xC001, Unavailable, "C001: unable to process"),
        (0x0110, Unavailable, "0110: unable to process"),
    ],
)
async def test_each_failed_status_comes_to_an_error(status: int, kind: type[GatewayError], words: str) -> None:
    with answering((0xFF01, match(StudyInstanceUID="1.2")), (status, None)) as peer:
        async with associated(peer, proposals(FIND)) as association:
            with pytest.raises(kind, match=words) as caught:
                await find(association, "STUDY", STUDY, most=10)
    assert (type(caught.value), caught.value.details) == (kind, {"status": f"{status:04X}"})


async def test_an_archive_without_the_model_is_named() -> None:
    async with serving(store=accept) as server:
        peer = RequestedPeer(HOST, server.port, "ANY", OURS, Timeouts.of(120))
        async with associated(peer, proposals("1.2.840.10008.1.1", FIND)) as association:
            with pytest.raises(UnsupportedType):
                await find(association, "STUDY", STUDY, most=10)


def _accepts(*contexts: int) -> bytes:
    inside = b"".join(item(0x21, bytes((one, 0, 0, 0)) + item(0x40, EXPLICIT.encode())) for one in contexts)
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    return pdu(0x02, struct.pack(">HH", 1, 0) + bytes(64) + item(0x10, b"1.2.840.10008.3.1.1.1") + inside + user)


def response(status: int, data: bytes = b"", field: int = 0x8020, **counts: int) -> bytes:
    has_data = 0x0101 if status not in (0xFF00, 0xFF01) or field != 0x8020 else 0x0000
    stated = pdv(1, 0x03, command(e0100=field, e0120=1, e0800=has_data, e0900=status, **counts))
    return pdu(0x04, stated) + (pdu(0x04, pdv(1, 0x02, data)) if has_data == 0 else b"")


def playing(*answers: bytes, end: bool = False) -> Script:
    """Accepts an association and, to the request, sends all of `answers`."""

    async def play(peer: RawPeer) -> None:
        await peer.read()
        peer.send(_accepts(1))
        await peer.read()
        for one in answers:
            peer.send(one)
        if end:
            peer.writer.close()

    return play


async def asked(script: Script, seconds: float = 120.0) -> requestor_query.Matches:
    async with scripted(script) as (port, _):
        peer = RequestedPeer(HOST, port, "RUDE", OURS, Timeouts(120.0, 120.0, seconds, 0.3))
        async with associated(peer, proposals(FIND)) as association:
            return await find(association, "STUDY", STUDY, most=10)


ONE = bytes.fromhex("20000d0055490400") + b"1.2\0"


async def test_answers_without_a_readable_identifier_are_counted() -> None:
    found = await asked(playing(response(0xFF00, ONE), response(0xFF00, b"\x20\0\x0d"), response(0)))
    assert (len(found.identifiers), found.unreadable) == (1, 1)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (playing(response(0xFF00, ONE), pdu(0x07, bytes(4))), "aborted by the DICOM UL service-user"),
        (playing(response(0xFF00, ONE), end=True), "the connection was closed"),
        (playing(response(0xFF00, ONE)), "no C-FIND response within 0.3 s"),
    ],
    ids=["abort", "end", "silence"],
)
async def test_an_association_that_ends_midway_is_an_archive_that_is_away(script: Script, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        await asked(script, 0.3 if "within" in words else 120.0)


async def test_an_archive_that_goes_on_after_a_cancel_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestor_query, "MOST_AFTER_CANCEL", 20)
    with pytest.raises(LimitedAnswersError, match="more than 10 answers") as caught:
        await asked(playing(*[response(0xFF00, ONE)] * 100))
    assert caught.value.matches is not None
    assert len(caught.value.matches.identifiers) == 10


async def test_a_get_may_take_longer_than_a_response_while_an_instance_is_stored() -> None:
    loop, stored = asyncio.get_running_loop(), asyncio.Event()

    async def store(_request: StoreRequest) -> None:
        loop.call_later(1.1, stored.set)
        await stored.wait()

    async def play(peer: RawPeer) -> None:
        await peer.read()
        peer.send(_accepts(5, 9))
        await peer.read()
        asked = command(e0002=CTImageStorage, e0100=0x0001, e0110=7, e0700=0, e0800=0x0001, e1000="1.2.3.4")
        peer.send(pdu(0x04, pdv(9, 0x03, asked)) + pdu(0x04, pdv(9, 0x02, ONE)))
        await peer.read()
        stated = command(e0100=0x8010, e0120=1, e0800=0x0101, e0900=0, e1021=1)
        peer.send(pdu(0x04, pdv(5, 0x03, stated)))

    async with scripted(play) as (port, _):
        peer = RequestedPeer(HOST, port, "RUDE", OURS, Timeouts(120.0, 120.0, 1.0, 0.3))
        async with retrieving(peer, [CTImageStorage], store, max_bytes=LARGE) as association:
            ended = await get(association, "STUDY", {"StudyInstanceUID": uid_of(1)})
    assert (stored.is_set(), ended.sub_operations.completed) == (True, 1)
