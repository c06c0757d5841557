"""A modality of pynetdicom's that asks for storage commitment, and the port on which it takes reports."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, Association, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined,unused-ignore]

from tests.peers.pynetdicom_scu import associate

INSTANCE = "1.2.840.10008.1.20.1.1"
Refs = Sequence[tuple[str, str]]


@dataclass
class Reports:
    """What has been reported, as it came."""

    port: int = 0
    came: list[tuple[int, Dataset]] = field(default_factory=list)
    """Event Type ID and data set."""
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers; then Success."""
    arrived: threading.Event = field(default_factory=threading.Event)
    aborts: bool = False
    """End the association in place of an answer."""

    def take(self, event: evt.Event) -> tuple[int, None]:
        self.came.append((int(event.event_type), event.event_information))
        self.arrived.set()
        if self.aborts:
            event.assoc.abort()
        return (self.answers.pop(0) if self.answers else 0x0000), None

    def of(self, transaction: str) -> list[dict[str, Any]]:
        """The reports of a transaction: event type, instances that are committed, and failed ones with the reason."""
        return [
            {
                "event": event,
                "committed": [str(one.ReferencedSOPInstanceUID) for one in stated.get("ReferencedSOPSequence", [])],
                "failed": {
                    str(one.ReferencedSOPInstanceUID): int(one.FailureReason)
                    for one in stated.get("FailedSOPSequence", [])
                },
            }
            for event, stated in self.came
            if stated.TransactionUID == transaction
        ]


@contextmanager
def reports_at(port: int = 0, *, roles: bool = True, title: str = "CT1") -> Iterator[Reports]:
    """The port of a modality that listens for reports. `roles`: it accepts only who proposes to be the SCP."""
    reports, entity = Reports(), AE(ae_title=title)
    if roles:
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    else:
        entity.add_supported_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_EVENT_REPORT, reports.take)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    reports.port = server.socket.getsockname()[1]
    try:
        yield reports
    finally:
        server.shutdown()


def wanted(references: Refs, transaction: str = "") -> Dataset:
    """The data set of an N-ACTION."""
    asked = Dataset()
    asked.TransactionUID = transaction or generate_uid()
    asked.ReferencedSOPSequence = []
    for sop_class, instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        asked.ReferencedSOPSequence.append(item)
    return asked


@contextmanager
def asking(
    port: int, reports: Reports | None = None, *, title: str = "CT1", role: bool = False
) -> Iterator[Association]:
    """An association for requests; `reports` takes what is reported over it."""
    entity = AE(ae_title=title)
    entity.add_requested_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_EVENT_REPORT, reports.take)] if reports is not None else []
    association = associate(entity, port, evt_handlers=handlers)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def ask(association: Association, asked: Dataset, *, action: int = 1, instance: str = INSTANCE) -> int:
    """N-ACTION; the status of its answer."""
    status, _ = association.send_n_action(asked, action, StorageCommitmentPushModel, instance)
    return int(status.Status)
