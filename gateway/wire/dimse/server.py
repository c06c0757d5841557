"""A DICOM service class provider for verification, worklist queries and storage (PS3.4 Annexes A, K, B).

Stations are plain async callables. pynetdicom's acceptor gives each association two threads; they end here: a
handler runs on the event loop that called `start`, sees the request as data, and answers by returning,
yielding or raising.

SOP classes: Verification, Modality Worklist Information Model FIND and every storage class known to
pynetdicom, in every transfer syntax of PS3.5. A presentation context for anything else, private storage
classes included, is rejected with result 3, abstract syntax not supported (PS3.8 9.3.3.2): whether an unknown
SOP class is storage at all cannot be told, and the peer learns at once which of its objects will not arrive.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import re
import socket
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    build_context,
    evt,
)
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from gateway.errors import Conflict, GatewayError, Malformed, Rejected, TooLarge, Unavailable, UnsupportedType
from gateway.wire.dimse import _pynetdicom
from gateway.wire.dimse.bridge import POLL_SECONDS, Bridge, LoopGone, Stream
from gateway.wire.dimse.header import read_header, split_header

log = logging.getLogger(__name__)

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
TRANSFER_SYNTAXES = [EXPLICIT_LITTLE, *(uid for uid in ALL_TRANSFER_SYNTAXES if uid != EXPLICIT_LITTLE)]
"""In the order of our preference: only explicit VR keeps the VRs of private elements."""

_TRANSIENT = 0x02
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4): ours has one cause, the limit of associations."""
SUCCESS, PENDING, CANCEL = 0x0000, 0xFF00, 0xFE00
_RESPONSES_BETWEEN_READS = 100
"""pynetdicom reads nothing, no C-CANCEL either, while responses wait to be sent; so they are let run out."""
_QUIET_SECONDS = 0.5
"""An association without traffic for this long is not at work."""
_COMMENT_CHARS = 64
_NEGOTIATION_SECONDS = 5.0
"""From a connection to the whole of its A-ASSOCIATE-RQ (the ARTIM timer of PS3.8 9.1.5)."""
_FAREWELL_SECONDS = 1.0
"""For a peer that has been sent an A-ABORT to close its end (PS3.8 9.2, Sta13)."""


@dataclass(frozen=True)
class Caller:
    """Who asks: AE titles without padding, and the peer's network address."""

    calling_ae: str
    called_ae: str
    address: str


@dataclass(frozen=True)
class StoreRequest:
    """A C-STORE request (PS3.7 9.1.1): UIDs from the command set, `data` the encoded data set as it came."""

    caller: Caller
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: bytes


class DimseFailure(Exception):
    """Ends an operation with this Status (0000,0900) and Error Comment (0000,0902).

    The comment is cut at the 64 characters of an LO, what is not ASCII becomes `?`; it must not hold PHI.
    """

    def __init__(self, status: int, comment: str = "") -> None:
        super().__init__(f"{status:04X} {comment}".strip())
        self.status = status
        self.comment = comment


FindHandler = Callable[[Caller, Dataset], AsyncIterator[Dataset]]
"""Called with the decoded identifier; each data set it yields is one pending (FF00) response identifier."""
StoreHandler = Callable[[StoreRequest], Awaitable[None]]
"""Returns when the instance is safe: that is the Success."""

_FIND_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (Unavailable, 0xA700),  # Refused: out of resources (Table K.4-1)
    (Rejected, 0xA900),  # Failed: data set (identifier) does not match SOP class
    (Exception, 0xC001),  # Failed: unable to process
)
_STORE_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (Unavailable, 0xA700),  # Refused: out of resources (Table B.2-1)
    (TooLarge, 0xA700),
    (UnsupportedType, 0x0122),  # Refused: SOP class not supported (PS3.7 C.5.6)
    (Conflict, 0x0111),  # Duplicate SOP instance (PS3.7 C.5.8)
    (Malformed, 0xC000),  # Error: cannot understand
    (Rejected, 0xA900),  # Error: data set does not match SOP class
    (Exception, 0x0110),  # Processing failure (PS3.7 C.5.16)
)


class DimseServer:
    """Listens on one port. `start` and `stop` belong to the event loop on which the handlers are to run.

    Associations beyond `max_associations` are rejected as transient, local limit exceeded (PS3.8 9.3.4); one
    without traffic for `idle_seconds` is aborted; `pdu_size` is the longest P-DATA-TF that peers are told to
    send (0: no limit).
    """

    def __init__(
        self,
        *,
        ae_title: str,
        find: FindHandler,
        store: StoreHandler,
        implementation_uid: str,
        check_called_ae: bool = False,
        allowed_calling_aes: Sequence[str] = (),
        max_associations: int = 100,
        pdu_size: int = 131072,
        idle_seconds: float = 600.0,
    ) -> None:
        self._find = find
        self._store = store
        self._entity = _Entity(ae_title=ae_title)
        self._entity.implementation_class_uid = implementation_uid
        self._entity.require_called_aet = check_called_ae
        self._entity.require_calling_aet = list(allowed_calling_aes)
        self._entity.maximum_associations = max_associations
        self._entity.maximum_pdu_size = pdu_size
        self._entity.network_timeout = self._idle_seconds = idle_seconds
        self._acceptor: Any = None
        self._bridge: Bridge | None = None
        self._traffic: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        self._traffic_lock = threading.Lock()

    async def start(self, host: str, port: int) -> None:
        """Raises `Unavailable` if the address cannot be listened on."""
        _pynetdicom.configure()
        self._bridge = Bridge()
        handlers = [
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_DATA_RECV, self._on_traffic),
            (evt.EVT_DATA_SENT, self._on_traffic),
            (evt.EVT_FSM_TRANSITION, self._on_transition),
            (evt.EVT_REJECTED, self._on_rejected),
        ]
        try:
            self._acceptor = self._entity.make_server(
                (host, port),
                contexts=_contexts(),
                evt_handlers=handlers,
                server_class=_Acceptor,
                request_handler=_Connection,
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Unavailable(f"cannot listen there ({reason})", place=f"{host}:{port}") from error
        self._entity._servers.append(self._acceptor)
        threading.Thread(target=self._acceptor.serve_forever, args=(POLL_SECONDS,), daemon=True).start()

    @property
    def port(self) -> int:
        """The port listened on, also when it was asked for as 0."""
        if self._acceptor is None:
            raise RuntimeError("not started")
        return cast(int, self._acceptor.server_address[1])

    @property
    def associations(self) -> int:
        """How many are established."""
        acceptor = self._acceptor
        return 0 if acceptor is None else sum(bool(one.is_established) for one in acceptor.active_associations)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new associations, let those at work finish for up to `grace_seconds`, abort the rest."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is None or self._bridge is None:
            return
        await asyncio.to_thread(acceptor.shutdown)
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and (  # noqa: ASYNC110 - pynetdicom's threads announce nothing
            self._bridge.busy or any(map(self._has_traffic, acceptor.active_associations))
        ):
            await asyncio.sleep(POLL_SECONDS)
        self._bridge.cancel_all()
        await asyncio.to_thread(_end, acceptor.active_associations)

    def _has_traffic(self, association: Any) -> bool:
        with self._traffic_lock:
            return time.monotonic() - self._traffic.get(association, 0.0) < _QUIET_SECONDS

    # Everything below runs in the threads of an association.

    def _on_traffic(self, event: Any) -> None:
        with self._traffic_lock:
            self._traffic[event.assoc] = time.monotonic()
        if _QUICKACK is not None:
            # A peer without TCP_NODELAY holds its data set back until its command set has been acknowledged.
            with suppress(OSError, AttributeError):
                event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _on_transition(self, event: Any) -> None:
        """pynetdicom waits without limit for the rest of a PDU; how long it may, depends on the state."""
        seconds = {"Sta2": _NEGOTIATION_SECONDS, "Sta6": self._idle_seconds, "Sta13": _FAREWELL_SECONDS}
        if event.next_state in seconds and event.next_state != event.current_state:
            with suppress(OSError, AttributeError):
                event.assoc.dul.socket.socket.settimeout(seconds[event.next_state])

    def _on_rejected(self, event: Any) -> None:
        if event.assoc.acceptor.primitive.result == _TRANSIENT:
            limit, address = self._entity.maximum_associations, event.assoc.requestor.address
            log.warning("DICOM association from %s refused: %d are open", address, limit)

    def _on_store(self, event: Any) -> Dataset:
        bridge = cast(Bridge, self._bridge)
        request = StoreRequest(
            caller=_caller(event),
            sop_class_uid=str(event.request.AffectedSOPClassUID),
            sop_instance_uid=str(event.request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            data=event.request.DataSet.getvalue(),
        )
        try:
            bridge.wait(bridge.submit(_awaited(self._store, request)))
        except LoopGone:
            _abort(event.assoc)
        except Exception as error:
            return _failure(error, _STORE_STATUSES)
        return _status(SUCCESS)

    def _on_find(self, event: Any) -> Iterator[tuple[int | Dataset, Dataset | None]]:
        try:
            yield from self._responses(event, _identifier(event))
        except LoopGone:
            _abort(event.assoc)
        except Exception as error:
            yield _failure(error, _FIND_STATUSES), None

    def _responses(self, event: Any, identifier: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        bridge = cast(Bridge, self._bridge)
        matches: Stream[Dataset] = Stream()
        work = bridge.submit(matches.pump(lambda: self._find(_caller(event), identifier)))
        sent = 0
        try:
            while (gathered := matches.take(POLL_SECONDS)) is not None:
                bridge.check()
                for match in gathered or (None,):
                    if event.is_cancelled:
                        yield CANCEL, None
                        return
                    if event.assoc.acse.is_aborted():
                        return
                    if match is not None:
                        yield PENDING, match
                        sent += 1
                        if sent % _RESPONSES_BETWEEN_READS == 0:
                            _let_run_out(event.assoc)
            bridge.wait(work)
        finally:
            work.cancel()


_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class _Acceptor(ThreadedAssociationServer):  # type: ignore[misc]
    request_queue_size = 128

    def get_request(self) -> Any:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address


class _Entity(AE):  # type: ignore[misc]
    @property
    def active_associations(self) -> list[Any]:
        """Those that count against `maximum_associations`: a connection that has asked for nothing holds no place."""
        return [one for one in super().active_associations if one.requestor.primitive is not None]


class _Connection(RequestHandler):  # type: ignore[misc]
    def _create_association(self) -> Any:
        association = super()._create_association()
        association.acse_timeout = _NEGOTIATION_SECONDS
        association.dul.daemon = True  # a connection left open must not keep the process from ending
        return association


class _Contexts(list[Any]):
    """pynetdicom copies 7,600 UIDs for each association and never changes them."""

    def __deepcopy__(self, memo: Any) -> _Contexts:
        return self


@cache
def _contexts() -> _Contexts:
    storage = (context.abstract_syntax for context in AllStoragePresentationContexts)
    served = (Verification, ModalityWorklistInformationFind, *storage)
    return _Contexts(build_context(uid, TRANSFER_SYNTAXES) for uid in served)


async def _awaited(store: StoreHandler, request: StoreRequest) -> None:
    await store(request)


def _caller(event: Any) -> Caller:
    requestor = event.assoc.requestor
    return Caller(
        calling_ae=str(requestor.primitive.calling_ae_title).strip(),
        called_ae=str(requestor.primitive.called_ae_title).strip(),
        address=str(requestor.address),
    )


def _identifier(event: Any) -> Dataset:
    """Raises `Malformed`."""
    transfer_syntax = str(event.context.transfer_syntax)
    encoded = split_header(event.request.Identifier.getvalue(), transfer_syntax, max_element_bytes=None)
    identifier = read_header(encoded, transfer_syntax, strict=True)
    sets = identifier.get("SpecificCharacterSet") or ""
    if not all(map(_is_known_character_set, [sets] if isinstance(sets, str) else sets)):
        _blank_foreign_text(identifier)
    return identifier


def _is_known_character_set(term: str) -> bool:
    """A defined term of PS3.3 C.12.1.1.2, one of the misspellings that pydicom mends, or a Python codec."""
    if {term, re.sub(r"^ISO[^_]IR", "ISO_IR", term), re.sub(r"^ISO.2022.IR.", "ISO 2022 IR ", term)} & set(
        python_encoding
    ):
        return True
    try:
        codecs.lookup(term)
    except (LookupError, ValueError):
        return False
    return True


def _blank_foreign_text(dataset: Dataset) -> None:
    """In an unknown character set only ASCII can be read; any other character matches as `?` would."""
    for element in dataset.iterall():
        if isinstance(element.value, str) or element.VR == "PN":
            element.value = re.sub(r"[^\x00-\x7f]", "?", str(element.value or ""))


def _status(code: int, comment: str = "") -> Dataset:
    status = Dataset()
    status.Status = code
    if comment:
        status.ErrorComment = comment.encode("ascii", "replace").decode()[:_COMMENT_CHARS]
    return status


def _failure(error: Exception, table: tuple[tuple[type[Exception], int], ...]) -> Dataset:
    """The comment names the class of an error and its place; the message may hold values, so it stays
    here."""
    if isinstance(error, DimseFailure):
        return _status(error.status, error.comment)
    code = next(status for kind, status in table if isinstance(error, kind))
    place = error.place if isinstance(error, GatewayError) else ""
    return _status(code, f"{type(error).__name__}: {place}" if place else type(error).__name__)


def _let_run_out(association: Any) -> None:
    while association.dul.to_provider_queue.qsize() and association.dul.is_alive():
        time.sleep(0.001)
    time.sleep(0.002)


def _abort(association: Any) -> None:
    type(association).abort(association)  # within a handler the instance's own one would not end it


def _end(associations: list[Any]) -> None:
    aborting = [threading.Thread(target=_abort, args=(one,), daemon=True) for one in associations]
    for thread in aborting:
        thread.start()
    deadline = time.monotonic() + _FAREWELL_SECONDS
    for thread in [*aborting, *associations]:
        thread.join(max(0.0, deadline - time.monotonic()))
    for association in associations:
        with suppress(OSError, AttributeError):  # one that waits for the rest of a PDU
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
