"""An MPPS SCP of pynetdicom's, as a PACS or a RIS has."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    Verification,
)

CLASSES = (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    InstanceAvailabilityNotification,
    Verification,
)


@dataclass
class MppsScp:
    """What it keeps, and every request that it got."""

    port: int = 0
    steps: dict[str, Dataset] = field(default_factory=dict)
    requests: list[tuple[str, str, Dataset]] = field(default_factory=list)
    """Operation, SOP Instance UID and data set."""
    statuses: deque[int] = field(default_factory=deque)
    """Answered in place of its own until they are used up; 0: it does as it would."""

    def create(self, event: Any) -> tuple[int, Dataset | None]:
        return self._answered("N-CREATE", str(event.request.AffectedSOPInstanceUID), event.attribute_list)

    def set(self, event: Any) -> tuple[int, Dataset | None]:
        return self._answered("N-SET", str(event.request.RequestedSOPInstanceUID), event.modification_list)

    def get(self, event: Any) -> tuple[int, Dataset | None]:
        kept = self.steps.get(str(event.request.RequestedSOPInstanceUID))
        return (0x0112, None) if kept is None else (0x0000, kept)

    def _answered(self, operation: str, uid: str, dataset: Dataset) -> tuple[int, Dataset | None]:
        self.requests.append((operation, uid, dataset))
        if self.statuses and (status := self.statuses.popleft()):
            return status, None
        if (uid in self.steps) == (operation == "N-CREATE"):
            return (0x0111 if operation == "N-CREATE" else 0x0112), None
        if operation == "N-CREATE":
            self.steps[uid] = dataset
        else:
            self.steps[uid].update(dataset)
        return 0x0000, dataset


@contextmanager
def mpps_scp(port: int = 0, scp: MppsScp | None = None) -> Iterator[MppsScp]:
    """Listens until the context is left."""
    scp = scp or MppsScp()
    entity = AE(ae_title="PACS")
    for one in CLASSES:
        entity.add_supported_context(one)
    handlers = [(evt.EVT_N_CREATE, scp.create), (evt.EVT_N_SET, scp.set), (evt.EVT_N_GET, scp.get)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        scp.port = server.server_address[1]
        yield scp
    finally:
        server.shutdown()
