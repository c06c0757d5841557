"""N-CREATE, N-SET and N-GET on the wire: what a modality receives for what it sends, and for what a station raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    Verification,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    ModalityPerformedProcedureStepNotification as Notification,
)

from gateway.errors import (
    Conflict,
    DuplicateKey,
    GatewayError,
    InvalidValue,
    RequiredEmpty,
    RequiredMissing,
    Unavailable,
    UnknownKey,
    together,
)
from gateway.wire.dimse import AttributesRequest, DimseServer, ExplainedFailure, GetRequest, Got, Peer
from tests.wire.dimse import raw_peer
from tests.wire.dimse.peers import ECHO, WORKLIST, associated, key, serving

MPPS = build_context(ModalityPerformedProcedureStep, ExplicitVRLittleEndian)
RETRIEVE = build_context(ModalityPerformedProcedureStepRetrieve, ExplicitVRLittleEndian)
UID = "1.2.3.4.5"
STATUS, NAME = 0x00400252, 0x00100010


@dataclass
class Recorder:
    """A station that records what comes, and raises what the test wants."""

    error: Exception | None = None
    requests: list[AttributesRequest | GetRequest] = field(default_factory=list)

    async def create(self, request: AttributesRequest) -> None:
        self._record(request)

    async def set(self, request: AttributesRequest) -> None:
        self._record(request)

    async def get(self, request: GetRequest) -> Got:
        self._record(request)
        kept = Dataset()
        kept.PerformedProcedureStepStatus = "COMPLETED"
        return Got(kept, [tag for tag in request.tags if tag != STATUS])

    def _record(self, request: AttributesRequest | GetRequest) -> None:
        self.requests.append(request)
        if self.error is not None:
            raise self.error


@pytest.fixture
def station() -> Recorder:
    return Recorder()


@pytest.fixture
async def server(station: Recorder) -> AsyncIterator[DimseServer]:
    async with serving(performed_steps=station) as running:
        yield running


async def ask(server: DimseServer, operation: str, *arguments: Any, context: Any = MPPS, **more: Any) -> Any:
    """Command set and data set of the response to one N-request."""
    received: list[Dataset] = []

    def work() -> Any:
        with associated(server.port, context) as association:
            association.bind(evt.EVT_DIMSE_RECV, lambda event: received.append(event.message.command_set))
            return getattr(association, f"send_n_{operation}")(*arguments, **more)[1]

    found = await asyncio.to_thread(work)
    return received[0], found


def attributes() -> Dataset:
    return key(PerformedProcedureStepStatus="IN PROGRESS", PatientName="Müller^Änne", SpecificCharacterSet="ISO_IR 100")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
async def test_what_is_sent_comes_decoded(server: DimseServer, station: Recorder, syntax: str) -> None:
    context = build_context(ModalityPerformedProcedureStep, syntax)
    for operation in ("create", "set"):
        arguments = (attributes(), ModalityPerformedProcedureStep, UID)
        status, _ = await ask(server, operation, *arguments, context=context)
        assert (status.Status, str(status.AffectedSOPInstanceUID)) == (0, UID)
    for request in station.requests:
        assert isinstance(request, AttributesRequest)
        assert (request.caller.calling_ae, request.sop_instance_uid) == ("CT1", UID)
        assert request.dataset[NAME].values == ("Müller^Änne",)


async def test_a_notification_has_its_own_handler_and_its_own_operation(station: Recorder) -> None:
    context = build_context(InstanceAvailabilityNotification, ExplicitVRLittleEndian)
    arguments = (key(StudyInstanceUID="1.2"), InstanceAvailabilityNotification, UID)
    other = Recorder()
    async with serving(performed_steps=station, notifications=other.create) as server:
        assert (await ask(server, "create", *arguments, context=context))[0].Status == 0
        assert (await ask(server, "set", *arguments, context=context))[0].Status == 0x0211
        steps = (key(StudyInstanceUID="1.2"), ModalityPerformedProcedureStep, UID)
        meta = {"meta_uid": InstanceAvailabilityNotification}
        assert (await ask(server, "create", *steps, context=context, **meta))[0].Status == 0x0118
    async with serving(performed_steps=station) as server:
        assert (await ask(server, "create", *arguments, context=context))[0].Status == 0x0211
    assert (len(station.requests), len(other.requests)) == (0, 1)


async def test_an_n_create_without_an_instance_is_given_one(server: DimseServer, station: Recorder) -> None:
    """PS3.7 10.1.5: the SCP assigns the Affected SOP Instance UID and returns it."""
    status, _ = await ask(server, "create", attributes(), ModalityPerformedProcedureStep)
    assert status.Status == 0
    assert str(status.AffectedSOPInstanceUID).startswith("2.25.")
    assert status.AffectedSOPInstanceUID == station.requests[0].sop_instance_uid


async def test_requests_without_a_data_set(server: DimseServer, station: Recorder) -> None:
    status, _ = await ask(server, "create", None, ModalityPerformedProcedureStep, UID)
    assert status.Status == 0
    assert isinstance(station.requests[0], AttributesRequest)
    assert not station.requests[0].dataset


async def test_an_n_get_and_its_warning(server: DimseServer, station: Recorder) -> None:
    for asked, expected in (([STATUS], 0), ([], 0), ([STATUS, NAME], 0x0001)):
        arguments = (asked, ModalityPerformedProcedureStep, UID, 1, ModalityPerformedProcedureStepRetrieve)
        status, found = await ask(server, "get", *arguments, context=RETRIEVE)
        assert status.Status == expected
        assert found.PerformedProcedureStepStatus == "COMPLETED"
        assert [int(one) for one in _tags(status)] == ([NAME] if expected else [])
    assert [list(request.tags) for request in station.requests if isinstance(request, GetRequest)] == [
        [STATUS],
        [],
        [STATUS, NAME],
    ]


def _tags(status: Dataset) -> list[Any]:
    value = status.get("AttributeIdentifierList") or []
    return [value] if isinstance(value, int) else list(value)


BOTH = together([RequiredMissing("b", place="PerformedProcedureStepID"), RequiredMissing("m", place="Modality")])


@pytest.mark.parametrize(
    ("error", "number", "tags"),
    [
        (InvalidValue("v", place="PerformedProcedureStepStatus"), 0x0106, [STATUS]),
        (DuplicateKey("d", place="SOPInstanceUID"), 0x0111, [0x00080018]),
        (UnknownKey("u"), 0x0112, []),
        (BOTH, 0x0120, [0x00400253, 0x00080060]),
        (RequiredEmpty("e", place="ScheduledStepAttributesSequence.StudyInstanceUID"), 0x0121, [0x00400270]),
        (Unavailable("a"), 0x0213, []),
        (RuntimeError("Müller^Änne"), 0x0110, []),
    ],
)
@pytest.mark.parametrize("operation", ["create", "set"])
async def test_the_status_of_each_error(
    server: DimseServer, station: Recorder, error: Exception, number: int, tags: list[int], operation: str
) -> None:
    station.error = error
    status, _ = await ask(server, operation, attributes(), ModalityPerformedProcedureStep, UID)
    assert (status.Status, [int(one) for one in _tags(status)]) == (number, tags)
    assert "ller" not in str(status)
    if isinstance(error, GatewayError):
        assert type(error).__name__ in status.ErrorComment


async def test_a_step_that_is_final_is_answered_with_its_error_id(server: DimseServer, station: Recorder) -> None:
    """PS3.4 Table F.7.2-2."""
    text = "Performed Procedure Step Object may no longer be updated"
    station.error = ExplainedFailure(Conflict(text))
    status, _ = await ask(server, "set", attributes(), ModalityPerformedProcedureStep, UID)
    assert (status.Status, status.ErrorID, status.ErrorComment) == (0x0110, 0xA710, text)


NO_CLASS = "1.2.840.10008.3.1.2.3.9"


@pytest.mark.parametrize(
    ("operation", "arguments", "meta", "context", "number"),
    [
        ("create", (attributes(), NO_CLASS, UID), ModalityPerformedProcedureStep, MPPS, 0x0118),
        ("set", (attributes(), Verification, UID), ModalityPerformedProcedureStep, MPPS, 0x0118),
        ("set", (attributes(), Notification, UID), ModalityPerformedProcedureStep, MPPS, 0x0119),
        ("set", (attributes(), RETRIEVE.abstract_syntax, UID), ModalityPerformedProcedureStep, MPPS, 0x0119),
        ("get", ([], ModalityPerformedProcedureStep, UID), None, MPPS, 0x0211),
        ("set", (attributes(), ModalityPerformedProcedureStepRetrieve, UID), None, RETRIEVE, 0x0211),
        ("get", ([], ModalityPerformedProcedureStepRetrieve, UID), None, RETRIEVE, 0x0000),
    ],
)  # fmt: skip
async def test_operations_that_a_class_does_not_have(
    server: DimseServer, operation: str, arguments: Any, meta: Any, context: Any, number: int
) -> None:
    status, _ = await ask(server, operation, *arguments, context=context, **({"meta_uid": meta} if meta else {}))
    assert status.Status == number


async def test_without_a_handler_the_operation_is_not_there() -> None:
    async with serving() as server:
        status, _ = await ask(server, "create", attributes(), ModalityPerformedProcedureStep, UID)
        assert status.Status == 0x0211


async def test_a_peer_that_may_not_is_refused_the_context() -> None:
    peer = Peer(services=frozenset({"verification", "worklist"}))
    async with serving(performed_steps=Recorder(), peers={"CT1": peer}) as server:

        def work() -> tuple[list[str], list[str]]:
            with associated(server.port, ECHO, WORKLIST, MPPS, RETRIEVE) as association:
                accepted = [str(one.abstract_syntax) for one in association.accepted_contexts]
                return accepted, [str(one.abstract_syntax) for one in association.rejected_contexts]

        _, rejected = await asyncio.to_thread(work)
        assert rejected == [ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve]


LONE = b"\x40\x00\x52\x02CS\xff\x0fIN"
"""An element that says it is longer than its data set."""
SEQUENCE = b"\x40\x00\x70\x02SQ\x00\x00\x40\x00\x00\x00\xfe\xff\x00\xe0\x38\x00\x00\x00"


@pytest.mark.parametrize(
    ("instance", "data", "status"),
    [
        ("1.2..3", b"", 0x0117),
        ("1.2.x", b"", 0x0117),
        ("1" * 65, b"", 0x0117),
        (UID, LONE, 0x0110),
        (UID, SEQUENCE, 0x0110),
        (UID, b"odd", 0x0110),
        (UID, b"", 0x0000),
    ],
)
@pytest.mark.parametrize("field", [0x0140, 0x0120])
async def test_requests_that_no_library_sends(
    server: DimseServer, field: int, instance: str, data: bytes, status: int
) -> None:
    """And the association goes on."""
    contexts = raw_peer.context(1, ModalityPerformedProcedureStep)
    elements: dict[str, Any] = {"e1000" if field == 0x0140 else "e1001": instance}
    request = raw_peer.request(field, ModalityPerformedProcedureStep, data=bool(data), **elements)
    async with raw_peer.connected(server.port) as peer:
        peer.send(raw_peer.associate_rq(contexts=contexts))
        assert (await peer.read())[0] == 0x02
        for _ in range(2):
            peer.send(raw_peer.pdu(0x04, raw_peer.pdv(1, 0x03, request)))
            if data:
                peer.send(raw_peer.pdu(0x04, raw_peer.pdv(1, 0x02, data)))
            assert await peer.status() == (1, status)
