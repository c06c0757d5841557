"""An archive of pynetdicom's that is queried, and does whatever a test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from gateway.wire.dimse.requestor_operations import VERIFICATION
from gateway.wire.dimse.requestor_query import FIND, GET
from tests.peers.query_archives import QueryArchive

TITLE = "PYNETDICOM"
_UNIQUE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_LEVELS = {"STUDY": 1, "SERIES": 2, "IMAGE": 3}


@dataclass
class Behaviour:
    instances: list[Dataset]
    ignores_keys: bool = False
    """At series level."""
    leaves_out: tuple[str, ...] = ()
    """Attributes that it does not answer."""
    get_status: int | None = 0x0000
    """Of a C-GET, which brings nothing; None: it takes no C-GET."""
    queries: list[Dataset] = field(default_factory=list)

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        keys = event.identifier
        self.queries.append(keys)
        level = _LEVELS[keys.QueryRetrieveLevel]
        unique = [] if self.ignores_keys and level == 2 else _UNIQUE
        found = {
            tuple(str(one[name].value) for name in _UNIQUE[:level]): one
            for one in self.instances
            if all(not keys.get(name) or keys[name].value == one[name].value for name in unique)
        }
        for one in found.values():
            answer = Dataset()
            for element in keys:
                if element.keyword not in self.leaves_out:
                    answer[element.tag] = one.get(element.tag, element)
            yield 0xFF00, answer
        yield 0x0000, None

    def get(self, _event: evt.Event) -> Iterator[int | tuple[int, None]]:
        yield 1 if self.get_status else 0
        yield self.get_status or 0, None


@contextmanager
def pynetdicom_archive(behaviour: Behaviour) -> Iterator[QueryArchive]:
    entity = AE(ae_title=TITLE)
    for one in (VERIFICATION, FIND):
        entity.add_supported_context(one)
    if behaviour.get_status is not None:
        entity.add_supported_context(GET)
    handlers = [(evt.EVT_C_FIND, behaviour.find), (evt.EVT_C_GET, behaviour.get)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield QueryArchive(TITLE, server.socket.getsockname()[1])
    finally:
        server.shutdown()
