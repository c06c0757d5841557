"""Instances go into a folder, as files in the DICOM File Format."""

from __future__ import annotations

from gateway.journey.image_forwarding.sending import Answer
from gateway.records.image_forwarding import StoreVerdict
from gateway.spool.drop_folder import DropFolder
from gateway.wire.part10_file import Part10File, pieces_of


class FolderSender:
    """Writes to `folder`, which takes every SOP class and transfer syntax."""

    def __init__(self, folder: DropFolder) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        return self._folder.folder.absolute().as_uri()

    async def takes(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """See `Sender.takes`."""
        return True

    async def send(self, file: Part10File, study_uid: str) -> Answer:
        """See `Sender.send`."""
        await self._folder.write(pieces_of(file.path, whole=True), study_uid, file.sop_instance_uid)
        return Answer("file", "written", StoreVerdict.DONE)
