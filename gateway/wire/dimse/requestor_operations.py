"""Operations of a service class user on an association (PS3.7 9.1, 10.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydicom.dataset import Dataset

from gateway.dicom_encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from gateway.errors import GatewayError, Malformed, UnsupportedType
from gateway.long_work import beside
from gateway.wire.dimse import command
from gateway.wire.dimse.command import MEDIUM, Command
from gateway.wire.dimse.encoding import encoded_dataset
from gateway.wire.dimse.header import read_header, split_header
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.negotiation import AcceptedContext
from gateway.wire.dimse.requestor import RequestedAssociation
from gateway.wire.dimse.requestor_pdu import Proposal

PLAIN: Final = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
"""Transfer syntaxes of data sets without pixels, as proposed."""
VERIFICATION: Final = "1.2.840.10008.1.1"
WORKLIST: Final = "1.2.840.10008.5.1.4.31"
MPPS: Final = "1.2.840.10008.3.1.2.3.3"
MPPS_RETRIEVE: Final = "1.2.840.10008.3.1.2.3.4"
AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification."""
NAMES: Final = {
    command.C_ECHO_RQ: "C-ECHO",
    command.C_FIND_RQ: "C-FIND",
    command.C_GET_RQ: "C-GET",
    command.C_MOVE_RQ: "C-MOVE",
    command.C_STORE_RQ: "C-STORE",
    command.N_CREATE_RQ: "N-CREATE",
    command.N_SET_RQ: "N-SET",
    command.N_GET_RQ: "N-GET",
    command.N_ACTION_RQ: "N-ACTION",
    command.N_EVENT_REPORT_RQ: "N-EVENT-REPORT",
}
_PENDING: Final = (0xFF00, 0xFF01)


@dataclass(frozen=True, slots=True)
class Response:
    """What a peer answers."""

    operation: str
    """Such as `N-SET`."""
    status: int
    comment: str
    """Error Comment."""
    error_id: int | None
    sop_instance: str
    """Affected SOP Instance UID."""
    dataset: Dataset | None

    def __str__(self) -> str:
        error_id = "" if self.error_id is None else f"({self.error_id:04X})"
        return " ".join(filter(None, (self.operation, "status", f"{self.status:04X}", error_id, self.comment)))

    def failure(self, place: str, kind: type[GatewayError]) -> GatewayError:
        """The error of `kind` that an answer other than success comes to, in the peer's words. `place`: of the peer."""
        error = kind(str(self), place=place)
        error.details = {"status": f"{self.status:04X}"}
        return error


def proposals(*sop_classes: str, is_scp: bool = False) -> list[Proposal]:
    """Presentation contexts for data sets without pixels: one for each transfer syntax, so that a peer that takes only
    one of them can say which. `is_scp`: as their SCP."""
    return [Proposal(one, (syntax,), is_scp) for one in sop_classes for syntax in PLAIN]


def context_for(association: RequestedAssociation, sop_class: str, *syntaxes: str) -> AcceptedContext:
    """The accepted presentation context of a SOP class, in the first of `syntaxes` (none: any) that is accepted.

    Raises `UnsupportedType`.
    """
    accepted = [one for one in association.acceptance.contexts if one.abstract_syntax == sop_class]
    order = syntaxes or PLAIN
    fitting = [one for one in accepted if one.transfer_syntax in order]
    if not fitting:
        raise UnsupportedType("none of the SOP classes and transfer syntaxes is accepted", place=association.peer.place)
    return min(fitting, key=lambda one: order.index(one.transfer_syntax))


async def echo(association: RequestedAssociation) -> Response:
    """C-ECHO."""
    return await _ask(association, command.C_ECHO_RQ, VERIFICATION)


async def find(association: RequestedAssociation, sop_class: str, identifier: Dataset) -> AsyncIterator[Response]:
    """C-FIND: a response for each match, and the last, which has no data set. Raises `Malformed` for an identifier that
    cannot be read."""
    context = context_for(association, sop_class)
    request = partial(_command, command.C_FIND_RQ, sop_class, "", True, ())
    data = encoded_dataset(identifier, context.transfer_syntax)
    message_id = await association.ask(request, context.context_id, data)
    while True:
        message = await association.answer(message_id, command.C_FIND_RQ, "C-FIND")
        response = _response(association, message, context)
        yield response
        if message.command.status not in _PENDING:
            return


async def store(
    association: RequestedAssociation,
    context: AcceptedContext,
    sop_instance: str,
    data_set: AsyncIterable[bytes] | bytes,
    *,
    priority: int = MEDIUM,
) -> Response:
    """C-STORE of a data set that is encoded in the transfer syntax of `context`."""

    def request(message_id: int) -> bytes:
        return command.request(
            command.C_STORE_RQ, message_id, context.abstract_syntax, sop_instance, has_data_set=True, priority=priority
        )

    message_id = await association.ask(request, context.context_id, data_set)
    message = await association.answer(message_id, command.C_STORE_RQ, "C-STORE")
    return _response(association, message, context)


async def create(association: RequestedAssociation, sop_class: str, sop_instance: str, attributes: Dataset) -> Response:
    """N-CREATE. Without `sop_instance` the peer assigns one, which the response names."""
    return await _ask(association, command.N_CREATE_RQ, sop_class, sop_instance, attributes)


async def set_(
    association: RequestedAssociation, sop_class: str, sop_instance: str, modifications: Dataset
) -> Response:
    """N-SET."""
    return await _ask(association, command.N_SET_RQ, sop_class, sop_instance, modifications)


async def get(
    association: RequestedAssociation, sop_class: str, sop_instance: str, tags: Sequence[int] = ()
) -> Response:
    """N-GET of these attributes; none: of all."""
    return await _ask(association, command.N_GET_RQ, sop_class, sop_instance, tags=tags)


Encode = Callable[[str], bytes]
"""Gives a data set in a transfer syntax."""


async def act(
    association: RequestedAssociation, sop_class: str, sop_instance: str, action_type: int, information: Encode
) -> Response:
    """N-ACTION."""
    return await _ask_encoded(association, command.N_ACTION_RQ, sop_class, sop_instance, action_type, information)


async def report_event(
    association: RequestedAssociation, sop_class: str, sop_instance: str, event_type: int, information: Encode
) -> Response:
    """N-EVENT-REPORT, as the SCP of the class."""
    return await _ask_encoded(association, command.N_EVENT_REPORT_RQ, sop_class, sop_instance, event_type, information)


async def _ask_encoded(
    association: RequestedAssociation, field: int, sop_class: str, sop_instance: str, type_id: int, information: Encode
) -> Response:
    context = context_for(association, sop_class)
    data = await beside(partial(information, context.transfer_syntax))
    request = partial(_command, field, sop_class, sop_instance, True, (), type_id=type_id)
    message_id = await association.ask(request, context.context_id, data)
    return _response(association, await association.answer(message_id, field, NAMES[field]), context)


async def _ask(
    association: RequestedAssociation,
    field: int,
    sop_class: str,
    sop_instance: str = "",
    dataset: Dataset | None = None,
    tags: Sequence[int] = (),
) -> Response:
    context = context_for(association, sop_class)
    data = None
    if dataset is not None:
        # In a thread: a data set that names thousands of instances takes half a second.
        data = await asyncio.to_thread(encoded_dataset, dataset, context.transfer_syntax)
    of_class = MPPS if sop_class == MPPS_RETRIEVE else sop_class
    request = partial(_command, field, of_class, sop_instance, data is not None, tags)
    message_id = await association.ask(request, context.context_id, data)
    return _response(association, await association.answer(message_id, field, NAMES[field]), context)


def _command(
    field: int,
    sop_class: str,
    sop_instance: str,
    has_data_set: bool,
    tags: Sequence[int],
    message_id: int,
    *,
    type_id: int = 0,
) -> bytes:
    return command.request(
        field, message_id, sop_class, sop_instance, has_data_set=has_data_set, tags=tags, type_id=type_id
    )


def _response(association: RequestedAssociation, message: DimseMessage, context: AcceptedContext) -> Response:
    stated: Command = message.command
    dataset = None
    if stated.has_data_set:
        try:
            data = bytes(message.data_set)
            header = split_header(data, context.transfer_syntax, max_element_bytes=None)
            dataset = read_header(header, context.transfer_syntax) if data else Dataset()
        except Malformed as error:
            raise Malformed("a response cannot be decoded", place=association.peer.place) from error
        finally:
            message.close()
    name = NAMES[stated.field & ~command.RESPONSE]
    return Response(name, stated.status, stated.comment, stated.error_id, stated.sop_instance, dataset)
