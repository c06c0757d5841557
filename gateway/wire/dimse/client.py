"""Service class user: echo, worklist query, storage and performed steps, one association per call (PS3.7 9.1, 10.1).

`timeout`, in seconds, bounds each of connecting, negotiating and waiting for a response. Every function raises
`Unavailable` when the peer cannot be reached, falls silent or refuses for the moment, and `Rejected` when it refuses
for good; both name the peer.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.errors import Malformed, Rejected, RequiredMissing, Unavailable, UnsupportedType
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.encoding import encoded_dataset
from gateway.wire.dimse.requestor import RequestedAssociation, associated
from gateway.wire.dimse.requestor_operations import MPPS, VERIFICATION, WORKLIST, Response, proposals
from gateway.wire.dimse.requestor_pdu import MAX_CONTEXTS, Proposal
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from gateway.wire.dimse.statuses import SOP_CLASS_NOT_SUPPORTED
from gateway.wire.part10_file import pieces_of

_PENDING: Final = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class _Instance:
    source: Dataset | Path
    sop_instance_uid: str
    context: tuple[str, str]
    """SOP class and transfer syntax."""


async def echo(host: str, port: int, *, called_ae: str, calling_ae: str, timeout: float) -> None:
    """C-ECHO; returns if the status was 0000."""
    peer = RequestedPeer(host, port, called_ae, calling_ae, Timeouts.of(timeout))
    async with associated(peer, proposals(VERIFICATION)) as association:
        _require_success(peer, await operations.echo(association))


async def find_worklist(
    host: str, port: int, identifier: Dataset, *, called_ae: str, calling_ae: str, timeout: float
) -> list[Dataset]:
    """C-FIND in the Modality Worklist information model; the identifiers of all pending responses."""
    peer = RequestedPeer(host, port, called_ae, calling_ae, Timeouts.of(timeout))
    matches: list[Dataset] = []
    async with associated(peer, proposals(WORKLIST)) as association:
        async for response in operations.find(association, WORKLIST, identifier):
            if response.status not in _PENDING:
                _require_success(peer, response)
            elif response.dataset is None:
                raise Malformed("a pending response without an identifier", place=peer.place)
            else:
                matches.append(response.dataset)
    return matches


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
    peer = RequestedPeer(host, port, called_ae, calling_ae, Timeouts.of(timeout))
    instances = await asyncio.to_thread(lambda: [_instance(one) for one in datasets])
    outcomes: list[tuple[str, int]] = []
    for batch in _batches(instances):
        contexts = dict.fromkeys(one.context for one in batch)
        async with associated(peer, [Proposal(name, (syntax,)) for name, syntax in contexts]) as association:
            outcomes += [(one.sop_instance_uid, await _send(association, one)) for one in batch]
    return outcomes


async def create_performed_step(
    host: str, port: int, uid: str, attributes: Dataset, *, called_ae: str, calling_ae: str, timeout: float
) -> None:
    """N-CREATE of a performed step with this SOP Instance UID (PS3.4 F.7.2.1)."""
    peer = RequestedPeer(host, port, called_ae, calling_ae, Timeouts.of(timeout))
    async with associated(peer, proposals(MPPS)) as association:
        _require_success(peer, await operations.create(association, MPPS, uid, attributes))


async def set_performed_step(
    host: str, port: int, uid: str, modifications: Dataset, *, called_ae: str, calling_ae: str, timeout: float
) -> None:
    """N-SET of a performed step (PS3.4 F.7.2.2)."""
    peer = RequestedPeer(host, port, called_ae, calling_ae, Timeouts.of(timeout))
    async with associated(peer, proposals(MPPS)) as association:
        _require_success(peer, await operations.set_(association, MPPS, uid, modifications))


async def _send(association: RequestedAssociation, instance: _Instance) -> int:
    sop_class, syntax = instance.context
    try:
        context = operations.context_for(association, sop_class, syntax)
    except UnsupportedType:
        return SOP_CLASS_NOT_SUPPORTED
    source = instance.source
    if isinstance(source, Path):
        response = await operations.store(association, context, instance.sop_instance_uid, pieces_of(source))
    else:
        data = await asyncio.to_thread(encoded_dataset, source, syntax)
        response = await operations.store(association, context, instance.sop_instance_uid, data)
    return response.status


def _batches(instances: Iterable[_Instance]) -> Iterator[list[_Instance]]:
    """An association can propose 128 presentation contexts (PS3.8 9.3.2.2)."""
    batch: list[_Instance] = []
    contexts: set[tuple[str, str]] = set()
    for one in instances:
        if len(contexts | {one.context}) > MAX_CONTEXTS:
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


def _require_success(peer: RequestedPeer, response: Response) -> None:
    if response.status:
        kind = Unavailable if 0xA700 <= response.status <= 0xA7FF else Rejected
        raise kind(str(response), place=peer.place)
