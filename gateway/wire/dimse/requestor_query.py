"""C-FIND of the Study Root model as a service class user (PS3.4 C.4.1), and what the last answer of a Query/Retrieve
operation comes to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, Literal, NamedTuple

from pydicom import config as pydicom_config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from gateway.errors import GatewayError, Malformed, NeedsPerson, Unavailable
from gateway.long_work import beside
from gateway.wire.dimse import command
from gateway.wire.dimse.command import Command
from gateway.wire.dimse.elements import coding_of, dictionary_vr
from gateway.wire.dimse.encoding import encoded_dataset
from gateway.wire.dimse.header import split_header
from gateway.wire.dimse.identifier import Identifier, decode_selected
from gateway.wire.dimse.inflating import is_long
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.requestor import RequestedAssociation
from gateway.wire.dimse.requestor_operations import NAMES, context_for
from gateway.wire.dimse.statuses import CANCEL, SUCCESS, Pending

FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model (PS3.4 C.6.2)."""
PENDING: Final = tuple(Pending)
MOST_AFTER_CANCEL: Final = 10_000
"""Answers of an archive that goes on after C-CANCEL, which some finish all the same."""
Level = Literal["STUDY", "SERIES", "IMAGE"]
"""Query/Retrieve Level (0008,0052)."""
Keys = Mapping[str, str]
"""Keyword or eight hexadecimal digits -> value; without a value the attribute is asked for and matches any. A backslash
stands between values."""


class Matches(NamedTuple):
    """The answers to a query."""

    identifiers: list[Identifier]
    unreadable: int
    """Answers without an identifier, or with one that cannot be decoded."""


class LimitedAnswersError(Unavailable):
    """There are more matches than the archive answers with, or than are taken."""

    matches: Matches | None = None
    """Those that were answered before; None: there were none."""


FAILURES: Final[tuple[tuple[int, int, type[Unavailable] | type[NeedsPerson], str], ...]] = (
    (0xA700, 0xA700, LimitedAnswersError, "out of resources"),
    (CANCEL, CANCEL, LimitedAnswersError, "matching was ended before all matches were sent"),
    (0xA702, 0xA702, Unavailable, "no sub-operation succeeded"),
    (0xA801, 0xA801, NeedsPerson, "the archive does not know the move destination"),
    (0xA900, 0xA9FF, NeedsPerson, "the identifier does not match the SOP class"),
    (0x0122, 0x0122, NeedsPerson, "the SOP class is not supported"),
    (0x0124, 0x0124, NeedsPerson, "not authorized"),
    (0x0211, 0x0211, NeedsPerson, "unrecognized operation"),
    (0x0000, 0xFFFF, Unavailable, "unable to process"),
)
"""First and last status, the error and its words (PS3.4 Tables C.4-1 to C.4-3, PS3.7 Annex C); the first row that fits
counts. Orthanc ends with FE00, which nobody asked for, where it has more matches than its limit."""


def failure(stated: Command, place: str) -> GatewayError:
    """The error of a last answer that is neither success nor warning. `place`: of the archive."""
    rows = (row for row in FAILURES if row[0] <= stated.status <= row[1])
    _, _, kind, words = next(rows)
    name = NAMES[stated.field & ~command.RESPONSE]
    comment = f" ({stated.comment})" if stated.comment else ""
    error = kind(f"{name} status {stated.status:04X}: {words}{comment}", place=place)
    error.details = {"status": f"{stated.status:04X}"}
    return error


async def find(association: RequestedAssociation, level: Level, keys: Keys, *, most: int) -> Matches:
    """C-FIND, with at most `most` answers.

    Raises `LimitedAnswersError` when there are more, or when the archive has more than it gives; `UnsupportedType`
    where the archive takes no C-FIND of the Study Root model; `Unavailable` and `NeedsPerson`.
    """
    context = context_for(association, FIND)
    message_id = await ask(association, command.C_FIND_RQ, FIND, level, keys)
    found = Matches([], 0)
    while True:
        message = await association.answer(message_id, command.C_FIND_RQ, "C-FIND")
        if (status := message.command.status) not in PENDING:
            break
        if len(found.identifiers) + found.unreadable == most:
            return await _too_many(association, message_id, context.context_id, found)
        try:
            found.identifiers.append(await identifier_of(message, context.transfer_syntax))
        except Malformed:
            found = found._replace(unreadable=found.unreadable + 1)
    if status != SUCCESS:
        raise _with_matches(failure(message.command, association.peer.place), found)
    return found


def _with_matches(error: GatewayError, found: Matches) -> GatewayError:
    if isinstance(error, LimitedAnswersError):
        error.matches = found
    return error


async def _too_many(association: RequestedAssociation, message_id: int, context_id: int, found: Matches) -> Matches:
    """Cancel, and wait for the last answer, so that the association can be used for another query."""
    most = len(found.identifiers) + found.unreadable
    await association.cancel(message_id, context_id)
    for _ in range(MOST_AFTER_CANCEL):
        message = await association.answer(message_id, command.C_FIND_RQ, "C-FIND")
        message.close()
        if message.command.status not in PENDING:
            break
    else:
        association.abort()
    error = LimitedAnswersError(f"C-FIND: more than {most} answers", place=association.peer.place)
    raise _with_matches(error, found)


async def ask(
    association: RequestedAssociation, field: int, sop_class: str, level: Level, keys: Keys, destination: str = ""
) -> int:
    """Send a request of Query/Retrieve; its Message ID. Raises `UnsupportedType`, `Unavailable`."""
    context = context_for(association, sop_class)

    def request(message_id: int) -> bytes:
        return command.request(field, message_id, sop_class, has_data_set=True, destination=destination)

    return await association.ask(
        request, context.context_id, encoded_dataset(_identifier(level, keys), context.transfer_syntax)
    )


def _identifier(level: Level, keys: Keys) -> Dataset:
    """Text that is not ASCII is in UTF-8."""
    identifier = Dataset()
    if not all(value.isascii() for value in keys.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in (*keys.items(), ("QueryRetrieveLevel", level)):
        tag = tag_for_keyword(keyword)
        tag = int(keyword, 16) if tag is None else tag
        vr = dictionary_vr(tag)
        vr = "LO" if vr == "UN" else vr
        # Ranges and wildcards are no values of their VR.
        held = [] if vr == "SQ" else value
        identifier.add(DataElement(tag, vr, held, validation_mode=pydicom_config.IGNORE))
    return identifier


async def identifier_of(message: DimseMessage, transfer_syntax: str) -> Identifier:
    """The identifier of an answer. A value that cannot be read reads as empty, text in an undefined character set as
    well as can be. Raises `Malformed`."""
    try:
        data = bytes(message.data_set)
        if not data:
            raise Malformed("an answer without an identifier")
        read = partial(_decoded, data, transfer_syntax)
        return await beside(read) if is_long(data, transfer_syntax) else read()
    finally:
        message.close()


def _decoded(data: bytes, transfer_syntax: str) -> Identifier:
    header = split_header(data, transfer_syntax, max_element_bytes=None)
    return decode_selected(header, coding_of(header, transfer_syntax))[0]
