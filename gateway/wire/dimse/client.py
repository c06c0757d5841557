"""Service class user: echo, worklist query, storage and performed steps, one association per call (PS3.7 9.1, 10.1).

For simulators and checks. The work is done in a thread; its time is bounded by `timeout`, in seconds, for
each of connecting, negotiating and waiting for a response. Every function raises `Unavailable` when the peer
cannot be reached, falls silent or refuses for the moment, and `Rejected` when it refuses for good; both name
the peer.
"""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    Verification,
)

from gateway.errors import Malformed, Rejected, RequiredMissing, Unavailable, UnsupportedType
from gateway.wire.dimse import _pynetdicom

SOP_CLASS_NOT_SUPPORTED = 0x0122
_MAX_CONTEXTS = 128
_TRANSIENT = 0x02
_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class _Peer:
    host: str
    port: int
    called_ae: str
    calling_ae: str
    timeout: float

    @property
    def place(self) -> str:
        return f"{self.called_ae}@{self.host}:{self.port}"


@dataclass(frozen=True)
class _Instance:
    source: Dataset | Path
    sop_instance_uid: str
    context: tuple[str, str]
    """SOP class and transfer syntax."""


async def echo(host: str, port: int, *, called_ae: str, calling_ae: str, timeout: float) -> None:
    """C-ECHO; returns if the status was 0000."""
    await asyncio.to_thread(_echo, _Peer(host, port, called_ae, calling_ae, timeout))


async def find_worklist(
    host: str, port: int, identifier: Dataset, *, called_ae: str, calling_ae: str, timeout: float
) -> list[Dataset]:
    """C-FIND in the Modality Worklist information model; the identifiers of all pending responses."""
    return await asyncio.to_thread(_find, _Peer(host, port, called_ae, calling_ae, timeout), identifier)


async def store(
    host: str,
    port: int,
    datasets: Iterable[Dataset | Path],
    *,
    called_ae: str,
    calling_ae: str,
    timeout: float,
) -> list[tuple[str, int]]:
    """C-STORE of each data set in its own transfer syntax; SOP Instance UIDs and statuses, in the order
    given.

    A file in the DICOM File Format (PS3.10) is sent byte for byte. A data set without one is encoded, in
    explicit VR little endian unless its file meta says otherwise. A SOP class or transfer syntax that the
    peer does not accept gives status 0122 without being sent.
    """
    return await asyncio.to_thread(_store, _Peer(host, port, called_ae, calling_ae, timeout), datasets)


async def create_performed_step(
    host: str, port: int, uid: str, attributes: Dataset, *, called_ae: str, calling_ae: str, timeout: float
) -> None:
    """N-CREATE of a performed step with this SOP Instance UID (PS3.4 F.7.2.1)."""
    await asyncio.to_thread(_perform, _Peer(host, port, called_ae, calling_ae, timeout), "create", uid, attributes)


async def set_performed_step(
    host: str, port: int, uid: str, modifications: Dataset, *, called_ae: str, calling_ae: str, timeout: float
) -> None:
    """N-SET of a performed step (PS3.4 F.7.2.2)."""
    await asyncio.to_thread(_perform, _Peer(host, port, called_ae, calling_ae, timeout), "set", uid, modifications)


def _echo(peer: _Peer) -> None:
    with _association(peer, [(Verification, ImplicitVRLittleEndian)]) as association:
        status = association.send_c_echo()
        _require_answer(peer, "C-ECHO", status)
        if status.Status:
            raise _failed(peer, "C-ECHO", status)


def _find(peer: _Peer, identifier: Dataset) -> list[Dataset]:
    found: list[Dataset] = []
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    with _association(peer, [(ModalityWorklistInformationFind, one) for one in syntaxes]) as association:
        for status, response in association.send_c_find(identifier, ModalityWorklistInformationFind):
            _require_answer(peer, "C-FIND", status)
            if status.Status in _PENDING:
                if response is None:
                    raise Malformed("a response identifier cannot be decoded", place=peer.place)
                found.append(response)
            elif status.Status:
                raise _failed(peer, "C-FIND", status)
    return found


def _store(peer: _Peer, datasets: Iterable[Dataset | Path]) -> list[tuple[str, int]]:
    outcomes: list[tuple[str, int]] = []
    for batch in _batches(map(_instance, datasets)):
        try:
            with _association(peer, dict.fromkeys(one.context for one in batch)) as association:
                accepted = {(cx.abstract_syntax, cx.transfer_syntax[0]) for cx in association.accepted_contexts}
                outcomes += [(one.sop_instance_uid, _send(peer, association, one, accepted)) for one in batch]
        except UnsupportedType:
            outcomes += [(one.sop_instance_uid, SOP_CLASS_NOT_SUPPORTED) for one in batch]
    return outcomes


def _perform(peer: _Peer, operation: str, uid: str, attributes: Dataset) -> None:
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    with _association(peer, [(ModalityPerformedProcedureStep, one) for one in syntaxes]) as association:
        send = association.send_n_create if operation == "create" else association.send_n_set
        status, _ = send(attributes, ModalityPerformedProcedureStep, uid)
        _require_answer(peer, f"N-{operation.upper()}", status)
        if status.Status:
            raise _failed(peer, f"N-{operation.upper()}", status)


def _send(peer: _Peer, association: Any, instance: _Instance, accepted: set[tuple[str, str]]) -> int:
    if instance.context not in accepted:
        return SOP_CLASS_NOT_SUPPORTED
    if not association.is_established:
        raise Unavailable("the association was lost", place=peer.place)
    status = association.send_c_store(instance.source)
    _require_answer(peer, "C-STORE", status)
    return int(status.Status)


def _batches(instances: Iterable[_Instance]) -> Iterator[list[_Instance]]:
    """An association can propose 128 presentation contexts (PS3.8 9.3.2.2)."""
    batch: list[_Instance] = []
    contexts: set[tuple[str, str]] = set()
    for one in instances:
        if len(contexts | {one.context}) > _MAX_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        batch.append(one)
        contexts.add(one.context)
    if batch:
        yield batch


def _instance(source: Dataset | Path, name: str = "") -> _Instance:
    if isinstance(source, Path):
        meta = _file_meta(source)
        if {"TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"} <= set(meta.dir()):
            context = (str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID))
            return _Instance(source, str(meta.MediaStorageSOPInstanceUID), context)
        return _instance(_without_file_meta(source), f"{source}: ")
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if not source.get(keyword):
            raise RequiredMissing("an instance to be stored must have it", place=f"{name}{keyword}")
    if not getattr(source, "file_meta", Dataset()).get("TransferSyntaxUID"):
        source = copy.copy(source)
        source.file_meta = FileMetaDataset()
        source.file_meta.TransferSyntaxUID = UID(_syntax_of(source))
    syntax = source.file_meta.TransferSyntaxUID
    return _Instance(source, str(source.SOPInstanceUID), (str(source.SOPClassUID), str(syntax)))


def _syntax_of(dataset: Dataset) -> str:
    """That in which it was read, if it was read from somewhere."""
    implicit, little = dataset.original_encoding
    if little is False:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _file_meta(path: Path) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).file_meta
    except InvalidDicomError:
        return Dataset()
    except OSError as error:
        raise Rejected(f"cannot be read ({error.strerror})", place=str(path)) from error
    except Exception as error:  # pydicom raises whatever its parsers met
        raise Malformed(f"not a DICOM file ({type(error).__name__})", place=str(path)) from error


def _without_file_meta(path: Path) -> Dataset:
    try:
        return dcmread(path, force=True)
    except Exception as error:
        raise Malformed(f"not a DICOM file ({type(error).__name__})", place=str(path)) from error


@contextmanager
def _association(peer: _Peer, contexts: Iterable[tuple[str, str]]) -> Iterator[Any]:
    _pynetdicom.configure()
    try:
        entity = AE(ae_title=peer.calling_ae)
        entity.acse_timeout = entity.dimse_timeout = peer.timeout
        entity.network_timeout = entity.connection_timeout = peer.timeout
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=[build_context(*one) for one in contexts],
            ae_title=peer.called_ae,
            evt_handlers=[(evt.EVT_CONN_OPEN, _no_delay)],
        )
    except OSError as error:
        raise Unavailable(f"cannot be reached ({error.strerror})", place=peer.place) from error
    except (TypeError, ValueError) as error:
        raise Rejected(f"no association can be asked for: {error}", place=peer.place) from error
    if not association.is_established:
        raise _refusal(peer, association)
    with _pynetdicom.reactor_held(association):
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def _no_delay(event: Any) -> None:
    with suppress(OSError, AttributeError):
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _refusal(peer: _Peer, association: Any) -> Exception:
    answer = _pynetdicom.rejection(association)
    if answer is not None:
        pdu = A_ASSOCIATE_RJ()
        pdu.from_primitive(answer)
        kind = Unavailable if answer.result == _TRANSIENT else Rejected
        return kind(f"association rejected: {pdu.reason_str}", place=peer.place)
    if association.rejected_contexts:
        return UnsupportedType("none of the SOP classes and transfer syntaxes is accepted", place=peer.place)
    return Unavailable("no association: not reachable, silent or aborted", place=peer.place)


def _require_answer(peer: _Peer, operation: str, status: Dataset) -> None:
    if "Status" not in status:
        raise Unavailable(f"no {operation} response: aborted or silent", place=peer.place)


def _failed(peer: _Peer, operation: str, status: Dataset) -> Exception:
    comment = str(status.get("ErrorComment", "")).strip()
    kind = Unavailable if 0xA700 <= status.Status <= 0xA7FF else Rejected
    return kind(f"{operation} status {status.Status:04X} {comment}".strip(), place=peer.place)
