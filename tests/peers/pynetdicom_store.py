"""A storage SCP of pynetdicom's, which answers as a test says and keeps what it got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.presentation import build_context


@dataclass
class StorageScp:
    port: int = 0
    aborts: set[str] = field(default_factory=set)
    """SOP Instance UIDs at which it aborts the association."""
    answers: dict[str, list[int | Dataset]] = field(default_factory=dict)
    """SOP Instance UID -> answers to its next requests; Success once there are no more."""
    came: list[tuple[str, int]] = field(default_factory=list)
    """SOP Instance UID and status answered, of each request."""
    priorities: list[int] = field(default_factory=list)
    data_sets: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """SOP Instance UID -> transfer syntax and data set, of what was stored."""
    associations: int = 0

    def _answer(self, event: evt.Event) -> int | Dataset:
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        if uid in self.aborts:
            event.assoc.abort()
        answers = self.answers.get(uid)
        answer = answers.pop(0) if answers else 0x0000
        status = answer if isinstance(answer, int) else int(answer.Status)
        self.came.append((uid, status))
        self.priorities.append(int(request.Priority))
        if status == 0 or status & 0xF000 == 0xB000:
            self.data_sets[uid] = (str(event.context.transfer_syntax), request.DataSet.getvalue())
        return answer

    def _established(self, _event: evt.Event) -> None:
        self.associations += 1


def refusal(status: int, comment: str) -> Dataset:
    """An answer with words."""
    answer = Dataset()
    answer.Status, answer.ErrorComment = status, comment
    return answer


@contextmanager
def storage_scp(port: int = 0, *, syntaxes: Sequence[str] = (), classes: Sequence[str] = ()) -> Iterator[StorageScp]:
    """Serves every storage class (or `classes`) in the usual transfer syntaxes without compression (or `syntaxes`)."""
    scp, entity = StorageScp(), AE(ae_title="ARCHIVE")
    wanted = [build_context(one) for one in classes] or StoragePresentationContexts
    entity.supported_contexts = [
        build_context(one.abstract_syntax, list(syntaxes) or one.transfer_syntax) for one in wanted
    ]
    handlers = [(evt.EVT_C_STORE, scp._answer), (evt.EVT_ESTABLISHED, scp._established)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    scp.port = server.socket.getsockname()[1]
    try:
        yield scp
    finally:
        server.shutdown()
