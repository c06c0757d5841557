"""Reading an HL7 message by the rules of its sender: character set, types, statements.

Kept messages are read again by the same rules: `MessageReader.history` tells what all messages of an order say with
today's mappings.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from gateway.errors import GatewayError, Malformed, NeedsPerson, Place, UnknownSender
from gateway.journey.order_intake.sources import ListenerSource, SenderRule, is_taken
from gateway.mapping.language.trace import Trace
from gateway.mapping.orders.reading import OrderMapping, Statement
from gateway.mapping.orders.worklist_files import WorklistFileMapping
from gateway.records.finding import Finding
from gateway.records.imaging_order import Order
from gateway.records.missing_code import MissingCode
from gateway.records.order import OrderedProcedure
from gateway.records.order_matching import statements_about
from gateway.records.row_ids import MessageRow
from gateway.store import messages, order_kin
from gateway.value_class import value_class
from gateway.wire import charsets
from gateway.wire.dimse import part10 as dicom_file
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.parsing import parse, sender_of

log = logging.getLogger(__name__)

WORKLIST_FILE: Final = "worklist-file:"
"""Begins what stands for the listener of a worklist file that was imported; whose numbers it has comes behind it."""


@value_class
class Reading:
    """A message as far as it could be read."""

    message: Message | None
    sender: SenderRule | None
    statements: tuple[Statement, ...] = ()
    error: GatewayError | None = None
    kept_only: Finding | None = None
    """Why the message is kept and answered AA, and not applied."""
    is_answer: bool = False
    """An acknowledgement."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What is odd about the message as a whole, then about each of its statements."""
        return [*self._of_message(), *(one for statement in self.statements for one in statement.findings)]

    def _of_message(self) -> Sequence[Finding]:
        message = self.message
        if message is None or message.codec != "ascii":
            return ()
        names = message.declared_charset.split("~")
        if all(charsets.is_known(name) for name in names if name.strip()):
            return ()
        return [Finding(Place("MSH", 18), "unknown character set; the message is ASCII and was read as such")]


@value_class
class Received:
    """A message as it came, and as it reads."""

    raw: bytes
    reading: Reading
    identity: Mapping[str, Any]
    """Of `identity_of`."""
    host: str
    now: int
    missing: Collection[MissingCode] = ()
    """Codes that no table has."""


WITHOUT_EFFECT: Final = Finding(Place("MSH", 9), "kept only: messages of this type say nothing to the worklist")
TRAINING: Final = {"T": "training", "D": "debugging"}
"""MSH-11.1 (HL7 table 0103) of messages that are not of production."""


def _of_training(message: Message) -> Finding:
    use = TRAINING[message.processing_id]
    return Finding(Place("MSH", 11), f"kept only: a message for {use} does not go on the worklist (training: apply)")


class MessageReader:
    """Reads messages of all listeners with the mappings in force."""

    def __init__(
        self,
        mapping: OrderMapping,
        files: WorklistFileMapping,
        sources: Mapping[str, ListenerSource],
        otherwise: ListenerSource,
    ) -> None:
        """otherwise: how kept messages of a listener are read that is no longer configured."""
        self._mapping = mapping
        self._files = files
        self._sources = sources
        self._otherwise = otherwise

    def read(self, raw: bytes, received_at: int, listener: str, trace: list[Trace] | None = None) -> Reading:
        """Tokenise and map; a fault becomes `Reading.error`. `trace`, if given, collects the source of every value."""
        message, sender = None, None
        try:
            if listener.startswith(WORKLIST_FILE):
                return Reading(None, None, (self._files.read(dicom_file.read(raw), listener[len(WORKLIST_FILE) :]),))
            raw = _without_padding(raw)
            sender = self._sender(raw, listener)
            if sender is None:
                message = parse(raw)
                # The names are not repeated: whoever sends what it should not may put anything there.
                raise UnknownSender("this sender is not taken here; list it under sources", place=Place("MSH", 3))
            message = _parsed(raw, sender)
            if message.type in ("ACK", "MCF"):
                return Reading(message, sender, is_answer=True)
            if not is_taken(message, sender):
                return Reading(message, sender, kept_only=WITHOUT_EFFECT)
            if sender.training == "keep" and message.processing_id in TRAINING:
                return Reading(message, sender, kept_only=_of_training(message))
            statements = self._mapping.read(message, received_at=received_at, settings=sender.settings, trace=trace)
            return Reading(message, sender, statements)
        except GatewayError as error:
            return Reading(message, sender, error=error)
        except Exception as error:
            log.exception("message could not be read")
            return Reading(message, sender, error=internal(error))

    def history(
        self, connection: Connection, order: Order, without: MessageRow | None = None
    ) -> list[OrderedProcedure]:
        """What the messages kept so far say of an order; `without` leaves one of them out."""
        parents = order_kin.parents(connection, order) if order.is_part else []
        rows = [one.row for one in (order, *parents) if one.row is not None]
        return [
            statement
            for row in (messages.bodies_of_orders(connection, *rows) if rows else ())
            if row["id"] != without
            for statement in statements_about(
                self.read(row["body"], row["received_at"], row["listener"]).statements, order, parents
            )
        ]

    def message_of(self, raw: bytes, listener: str) -> Message | None:
        """A kept message by the rules of its sender, not mapped; None for a worklist file and what cannot be read."""
        if listener.startswith(WORKLIST_FILE):
            return None
        try:
            raw = _without_padding(raw)
            sender = self._sender(raw, listener)
            return parse(raw) if sender is None else _parsed(raw, sender)
        except GatewayError:
            return None

    def _sender(self, raw: bytes, listener: str) -> SenderRule | None:
        """How the message is read; None when its sender is not listed."""
        source = self._sources.get(listener, self._otherwise)
        if len(source.senders) == 1 and not (source.senders[0].application or source.senders[0].facility):
            return source.senders[0]
        application, facility = sender_of(raw)
        return next((sender for sender in source.senders if sender.is_of(application, facility)), None)


def _parsed(raw: bytes, sender: SenderRule) -> Message:
    return parse(
        raw,
        charset=sender.override_charset,
        fallback_charset=sender.charset,
        replace_undecodable=sender.undecodable == "replace",
    )


def identity_of(raw: bytes, message: Message | None) -> dict[str, Any]:
    """Sender, control id, type and digest: what tells a message from others, as far as the message could be read."""
    return {
        "sender": f"{message.sending_application}|{message.sending_facility}" if message else "",
        "control_id": message.control_id if message else "",
        "type": f"{message.type}^{message.trigger}" if message else "",
        "digest": hashlib.sha256(raw).digest(),
    }


def _without_padding(raw: bytes) -> bytes:
    """A message without the NUL at its end, which some senders count as part of it. Raises `Malformed` for another."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw
    raw = raw.rstrip(b"\0")
    if b"\0" in raw:
        raise Malformed("the message holds NUL bytes", place=Place("MSH"))
    return raw


def internal(error: Exception) -> GatewayError:
    """A fault of ours, as the sender hears of it: without the values that the exception may hold."""
    return NeedsPerson(f"internal error ({type(error).__name__}); the message is kept and can be replayed")
