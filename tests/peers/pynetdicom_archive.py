"""An archive of pynetdicom's: takes instances, and reports commitment as a test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined,unused-ignore]

from tests.peers.pynetdicom_commitment import INSTANCE
from tests.peers.pynetdicom_scu import associate, keep_answers


@dataclass
class Archive:
    port: int = 0
    held: list[str] = field(default_factory=list)
    """SOP Instance UIDs in the order in which they came."""
    transactions: list[Dataset] = field(default_factory=list)
    failing: dict[str, list[int]] = field(default_factory=dict)
    """SOP Instance UID -> Failure Reasons of its next reports; committed once there are no more."""
    over_same: bool = False
    """Report over the association of the request."""
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers to requests; then Success."""

    def stored(self, event: evt.Event) -> int:
        self.held.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def asked(self, event: evt.Event) -> tuple[int, None]:
        status = self.answers.pop(0) if self.answers else 0x0000
        if status == 0x0000 and self.over_same:
            # The report follows the answer: it waits until the reactor, which sends that, has nothing more to do.
            keep_answers(event.assoc)
            request = event.action_information
            threading.Thread(target=self._report_over, args=(event.assoc, request), daemon=True).start()
        self.transactions.append(event.action_information)
        return status, None

    def _report_over(self, association: Any, request: Dataset) -> None:
        association.send_n_event_report(*self.report(request))

    def report(self, request: Dataset) -> tuple[Dataset, int, Any, str]:
        """The report of a request, as pynetdicom sends it."""
        stated = Dataset()
        committed: list[Dataset] = []
        failed: list[Dataset] = []
        for item in request.ReferencedSOPSequence:
            reasons = self.failing.get(item.ReferencedSOPInstanceUID)
            if reasons:
                item.FailureReason = reasons.pop(0)
            (failed if reasons is not None and "FailureReason" in item else committed).append(item)
        stated.TransactionUID = request.TransactionUID
        if committed:
            stated.ReferencedSOPSequence = committed
        if failed:
            stated.FailedSOPSequence = failed
        return stated, 2 if failed else 1, StorageCommitmentPushModel, INSTANCE

    def report_to(self, port: int, number: int = -1) -> int:
        """Report a transaction over an association of its own, with the SCP role; the status of the answer."""
        entity = AE(ae_title="ARCHIVE")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = associate(entity, port, ext_neg=[role])
        assert association.is_established
        assert [one.as_scp for one in association.accepted_contexts] == [True]
        status, _ = association.send_n_event_report(*self.report(self.transactions[number]))
        association.release()
        return int(status.Status)


@contextmanager
def archive(port: int = 0) -> Iterator[Archive]:
    """Serves every storage class, and Storage Commitment."""
    scp, entity = Archive(), AE(ae_title="ARCHIVE")
    entity.supported_contexts = StoragePresentationContexts[:127]
    entity.add_supported_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_C_STORE, scp.stored), (evt.EVT_N_ACTION, scp.asked)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    scp.port = server.socket.getsockname()[1]
    try:
        yield scp
    finally:
        server.shutdown()
