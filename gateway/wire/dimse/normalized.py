"""The operations N-CREATE, N-SET and N-GET (PS3.7 10.1): of performed steps (PS3.4 F.7, F.8), and the N-CREATE of an
Instance Availability Notification (PS3.4 R.3); the N-ACTION of Storage Commitment (PS3.4 J.3.2).

A handler gets the request as data; it answers by returning when what was stated is safe, or by raising.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
    StorageCommitmentPushModel,
)

from gateway.errors import GatewayError
from gateway.long_work import beside
from gateway.wire.dimse import command
from gateway.wire.dimse.association import Association, Operation
from gateway.wire.dimse.commitment import (
    INSTANCE,
    REQUEST,
    CommitmentHandler,
    CommitmentRequest,
    OpenAssociation,
    ReportedCommitment,
    ReportHandler,
    check_report,
)
from gateway.wire.dimse.encoding import encoded_dataset
from gateway.wire.dimse.identifier import Identifier
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.normalized_data_set import read_data_set
from gateway.wire.dimse.policy import Caller
from gateway.wire.dimse.statuses import (
    ACTION_STATUSES,
    CLASS_INSTANCE_CONFLICT,
    INVALID_INSTANCE,
    NO_SUCH_ACTION,
    NO_SUCH_CLASS,
    NO_SUCH_INSTANCE,
    NORMALIZED_STATUSES,
    NOT_ALL_ATTRIBUTES,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    DimseFailure,
    Statuses,
    comment_of,
    error_id_of,
    reason_of,
    status_of,
)

log = logging.getLogger(__name__)

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_STEP_CLASSES: Final = {
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    ModalityPerformedProcedureStepNotification,
}
"""They share their SOP instances (PS3.4 F.8, F.9)."""
_CLASSES: Final[dict[str, set[Any]]] = {
    one: {one} for one in (InstanceAvailabilityNotification, StorageCommitmentPushModel)
}
"""Abstract syntax -> the SOP classes that share its SOP instances, where these are not performed steps."""
CONTEXTS: Final[dict[int, tuple[str, ...]]] = {
    command.N_CREATE_RQ: (ModalityPerformedProcedureStep, InstanceAvailabilityNotification),
    command.N_SET_RQ: (ModalityPerformedProcedureStep,),
    command.N_GET_RQ: (ModalityPerformedProcedureStepRetrieve,),
    command.N_ACTION_RQ: (StorageCommitmentPushModel,),
    command.N_EVENT_REPORT_RQ: (StorageCommitmentPushModel,),
}
"""Command Field -> abstract syntaxes of the presentation contexts in which it may be asked."""
NAMES: Final = {
    command.N_CREATE_RQ: "N-CREATE",
    command.N_SET_RQ: "N-SET",
    command.N_GET_RQ: "N-GET",
    command.N_ACTION_RQ: "N-ACTION",
    command.N_EVENT_REPORT_RQ: "N-EVENT-REPORT",
}
_STATUSES: Final[Mapping[int, Statuses]] = dict.fromkeys(
    (command.N_ACTION_RQ, command.N_EVENT_REPORT_RQ), ACTION_STATUSES
)
"""Command Field -> the statuses of its errors, where they are not those of attributes."""


class AttributesRequest(NamedTuple):
    """An N-CREATE or N-SET request with its decoded data set."""

    caller: Caller
    sop_instance_uid: str
    """Of an N-CREATE without it the one that is assigned here (PS3.7 10.1.5.1.3)."""
    dataset: Identifier
    """A number that cannot be read has no value."""
    is_long: bool = False
    """Work on all of its attributes is long work (`gateway.long_work`)."""


class GetRequest(NamedTuple):
    """An N-GET request."""

    caller: Caller
    sop_instance_uid: str
    tags: Sequence[int]
    """What is asked for; empty: all that is kept."""


@dataclass(frozen=True, slots=True)
class Got:
    """The answer to an N-GET."""

    dataset: Dataset
    not_kept: Sequence[int] = ()
    """Tags that were asked for and are not kept."""


class PerformedStepHandler(Protocol):
    """Returns when the performed step is safe: that is the Success."""

    async def create(self, request: AttributesRequest) -> None:
        """N-CREATE: a performed step begins."""

    async def set(self, request: AttributesRequest) -> None:
        """N-SET: a performed step goes on, or ends."""

    async def get(self, request: GetRequest) -> Got:
        """N-GET: what is kept of a performed step."""


NotificationHandler = Callable[[AttributesRequest], Awaitable[None]]
"""N-CREATE of an Instance Availability Notification: returns when it is safe."""


async def no_notifications(request: AttributesRequest) -> None:
    """Of a server that takes none."""
    raise DimseFailure(UNRECOGNIZED_OPERATION, "notifications are not taken")


def operations(
    handler: PerformedStepHandler,
    notifications: NotificationHandler = no_notifications,
    commitments: CommitmentHandler | None = None,
    reports: ReportHandler | None = None,
) -> Mapping[int, Operation]:
    """The operations by Command Field (0000,0100)."""
    creating = {ModalityPerformedProcedureStep: handler.create, InstanceAvailabilityNotification: notifications}
    work: dict[int, _Work] = {
        command.N_CREATE_RQ: partial(_create, creating),
        command.N_SET_RQ: partial(_set, handler),
        command.N_GET_RQ: partial(_get, handler),
    }
    if commitments is not None:
        work[command.N_ACTION_RQ] = partial(_act, commitments)
    if reports is not None:
        work[command.N_EVENT_REPORT_RQ] = partial(_take_report, reports)
    return {field: partial(_answered, one) for field, one in work.items()}


def fits(field: int, abstract_syntax: str) -> bool:
    """Whether the SOP class of a presentation context has the operation."""
    return abstract_syntax in CONTEXTS[field]


class _Answer(NamedTuple):
    instance: str
    status: int = SUCCESS
    dataset: bytes | None = None
    attributes: Sequence[int] = ()


_Work = Callable[[Association, DimseMessage], Awaitable[_Answer]]


async def _answered(work: _Work, association: Association, message: DimseMessage) -> None:
    request = message.command
    try:
        _check(message, association.context(message).abstract_syntax)
        answer = await work(association, message)
    except Exception as error:
        status = status_of(error, _STATUSES.get(request.field, NORMALIZED_STATUSES))
        log.warning("DICOM %s from %s ended with %04X", NAMES[request.field], _caller(association).calling_ae, status)
        response = command.response(
            request,
            status,
            comment=comment_of(error),
            error_id=error_id_of(error),
            instance=request.sop_instance if _is_uid(request.sop_instance) else "",
            attributes=_tags_of(reason_of(error)),
        )
        association.respond(message, response)
        return
    response = command.response(
        request,
        answer.status,
        has_data_set=answer.dataset is not None,
        instance=answer.instance,
        attributes=answer.attributes,
    )
    association.respond(message, response, answer.dataset)


async def _create(
    handlers: Mapping[str, NotificationHandler], association: Association, message: DimseMessage
) -> _Answer:
    uid = message.command.sop_instance or f"2.25.{uuid.uuid4().int}"
    create = handlers[association.context(message).abstract_syntax]
    await create(AttributesRequest(_caller(association), uid, *await _dataset(association, message)))
    return _Answer(uid)


async def _set(handler: PerformedStepHandler, association: Association, message: DimseMessage) -> _Answer:
    uid = message.command.sop_instance
    await handler.set(AttributesRequest(_caller(association), uid, *await _dataset(association, message)))
    return _Answer(uid)


async def _get(handler: PerformedStepHandler, association: Association, message: DimseMessage) -> _Answer:
    uid, tags = message.command.sop_instance, message.command.attributes
    got = await handler.get(GetRequest(_caller(association), uid, tags))
    # What is kept may name a hundred thousand images.
    encoded = await beside(partial(encoded_dataset, got.dataset, association.context(message).transfer_syntax))
    return _Answer(uid, NOT_ALL_ATTRIBUTES if got.not_kept else SUCCESS, encoded, got.not_kept)


async def _act(handler: CommitmentHandler, association: Association, message: DimseMessage) -> _Answer:
    request = message.command
    if request.sop_instance != INSTANCE:
        raise DimseFailure(NO_SUCH_INSTANCE, "not the well-known SOP instance")
    if request.type_id != REQUEST:
        raise DimseFailure(NO_SUCH_ACTION, f"no action of type {request.type_id}")
    dataset, is_long = await _dataset(association, message)
    reports = OpenAssociation(association, message.context_id)
    await handler(CommitmentRequest(_caller(association), dataset, reports, is_long))
    return _Answer(request.sop_instance)


async def _take_report(handler: ReportHandler, association: Association, message: DimseMessage) -> _Answer:
    request = message.command
    check_report(request)
    sender = _caller(association).calling_ae
    await handler(ReportedCommitment(sender, request.type_id, *await _dataset(association, message)))
    return _Answer(request.sop_instance)


def _caller(association: Association) -> Caller:
    assert association.agreement is not None
    return association.agreement.caller


def _check(message: DimseMessage, abstract_syntax: str) -> None:
    """Raises `DimseFailure` for a class or an instance that the operation cannot have."""
    request = message.command
    if request.sop_class not in _CLASSES.get(abstract_syntax, _STEP_CLASSES):
        raise DimseFailure(NO_SUCH_CLASS, "not the SOP class of its presentation context")
    if request.sop_class not in {ModalityPerformedProcedureStep, abstract_syntax}:
        raise DimseFailure(CLASS_INSTANCE_CONFLICT, "the SOP class does not have this operation")
    is_assigned = request.field == command.N_CREATE_RQ and not request.sop_instance
    if not is_assigned and not _is_uid(request.sop_instance):
        raise DimseFailure(INVALID_INSTANCE, "the SOP Instance UID is none")


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and _UID.fullmatch(text) is not None


async def _dataset(association: Association, message: DimseMessage) -> tuple[Identifier, bool]:
    """The data set, and whether it is long. Raises `Malformed` or `TooLarge`."""
    return await read_data_set(message, association.context(message).transfer_syntax)


def _tags_of(error: Exception) -> list[int]:
    """Attributes that an error and those beside it name, each once."""
    if not isinstance(error, GatewayError):
        return []
    keywords = (str(one.place).partition(".")[0] for one in (error, *error.others))
    tags = (tag_for_keyword(keyword) for keyword in keywords if keyword)
    return list(dict.fromkeys(int(tag) for tag in tags if tag is not None))
