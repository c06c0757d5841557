"""Instances go to a storage SCP by C-STORE (PS3.4 Annex B)."""

from __future__ import annotations

from gateway.journey.image_forwarding.sending import Answer
from gateway.wire.dimse.command import MEDIUM
from gateway.wire.dimse.requestor_store import StorageRequestor
from gateway.wire.part10_file import Part10File


class CStoreSender:
    """Sends over the associations of `requestor`, with this priority (PS3.7 9.1.1.1.5)."""

    def __init__(self, requestor: StorageRequestor, priority: int = MEDIUM) -> None:
        self._requestor = requestor
        self._priority = priority

    @property
    def place(self) -> str:
        return self._requestor.peer.place

    async def takes(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """See `Sender.takes`: an association tells."""
        return await self._requestor.accepts(sop_class_uid, transfer_syntax_uid)

    async def send(self, file: Part10File, study_uid: str) -> Answer:
        """See `Sender.send`."""
        response = await self._requestor.store(file, priority=self._priority)
        return Answer.of_status(response.operation, response.status, response.comment)
