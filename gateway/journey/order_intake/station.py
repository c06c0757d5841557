"""Station `order_intake`: bytes -> reading -> verdict in one transaction -> acknowledgement.

The bytes are kept in the transaction that applies the message; the acknowledgement is sent after the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, Malformed, NeedsPerson, Place, Rejected, Unavailable, UnknownKey, UnknownSender
from gateway.journey.order_intake.acknowledgement import Acknowledgement, Acknowledger
from gateway.journey.order_intake.auditing import event_of_message
from gateway.journey.order_intake.keeping import Ask, asked_by, keep, keep_again
from gateway.journey.order_intake.reading import MessageReader, Reading, Received, identity_of, internal
from gateway.journey.order_intake.refusing import HEAD_BYTES, Refusing, too_many_parts
from gateway.journey.order_intake.sources import ListenerSource
from gateway.journey.order_intake.verdict import Outcomes, Verdict, applied_verdict, error_finding, unread_verdict
from gateway.long_work import LONG_BYTES, beside
from gateway.mapping.language import missing
from gateway.observe import metrics
from gateway.records.finding import Finding
from gateway.records.message import APPLIED, WRONG, MessageState
from gateway.records.row_ids import MessageRow
from gateway.store import Store, audit, messages
from gateway.value_class import value_class
from gateway.wire.hl7 import batch as hl7_batch
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.mllp_framing import MllpPeer

log = logging.getLogger(__name__)

Apply = Callable[..., Outcomes]
"""`scheduling.apply`; handed in by the assembly, so that neither station imports the other."""
OnKept = Callable[[Connection, MessageRow, str, str, int], None]
"""What follows a message that is kept and answered AA, in its transaction: row, type (`ADT^A08`), listener, time."""
REUSED: Final = Finding(Place("MSH", 10), "another message came under this control id")


class StructureChecks(Protocol):
    """The background check of structure (`structure.Conformance`)."""

    def soon(self, row: MessageRow, version: str, listener: str, size: int) -> None:
        """Check a kept message when there is time."""

    async def fault(self, message: Message, version: str, listener: str) -> GatewayError | None:
        """The first fault of a message, now."""


@value_class
class Receipt:
    """The acknowledgement of a message that is kept, and the message's row if the message was processed now."""

    acknowledgement: Acknowledgement
    row: MessageRow | None = None
    cause: str = ""
    """Key of why it was not applied; empty: it was, or its type is not served."""


class OrderIntake:
    """Receives the messages of one MLLP listener."""

    def __init__(
        self,
        store: Store,
        reader: MessageReader,
        apply: Apply,
        ask: Ask,
        source: ListenerSource,
        clock: Clock,
        checks: StructureChecks,
        on_kept: OnKept | None = None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._apply = apply
        self._ask = ask
        self._source = source
        self._clock = clock
        self._checks = checks
        self._on_kept = on_kept
        self._acknowledger = Acknowledger()
        self._refusing = Refusing(store, self._acknowledger, source.name)

    async def receive(self, raw: bytes, peer: MllpPeer) -> Sequence[bytes] | None:
        """The blocks that answer `raw`; None to close the connection without an answer.

        A batch is answered by one block, a batch of acknowledgements; each of its messages stands for itself.
        """
        is_long = len(raw) > LONG_BYTES
        batch = await beside(partial(hl7_batch.split, raw)) if is_long else hl7_batch.split(raw)
        if batch is None:
            return await self._receive(raw, peer.host)
        if batch.stated not in (None, len(batch.messages)):
            log.warning(
                "%s: a batch of %d messages says that it has %s", self._source.name, len(batch.messages), batch.stated
            )
        acknowledgements: list[bytes] = []
        for message in batch.messages:
            blocks = await self._receive(message, peer.host)
            if blocks is None:
                return None
            acknowledgements += blocks
        return [self._acknowledger.batch(batch, acknowledgements, self._clock())]

    async def _receive(self, raw: bytes, host: str) -> Sequence[bytes] | None:
        now = self._clock()
        is_long = len(raw) > LONG_BYTES
        received = await beside(partial(self._read, raw, host, now)) if is_long else self._read(raw, host, now)
        reading = received.reading
        if (error := too_many_parts(reading)) is not None:
            return (await self._refusing.refuse(raw[:HEAD_BYTES], host, "too many parts", error, now),)
        if reading.is_answer:
            # An acknowledgement is never acknowledged: two systems that did would never end.
            metrics.MESSAGES.labels(self._source.name, "none").inc()
            return ()
        if (checked := await self._checked(reading)) is not reading:
            received = replace(received, reading=checked)
        acknowledgement = await self._processed(received)
        self._count(checked, acknowledgement, host)
        return None if acknowledgement is None else self._acknowledger.blocks(checked, acknowledgement, now)

    def _read(self, raw: bytes, host: str, now: int) -> Received:
        with missing.collected() as codes:
            reading = self._reader.read(raw, now, self._source.name)
        return Received(raw, reading, identity_of(raw, reading.message), host, now, codes)

    def _count(self, reading: Reading, acknowledgement: Acknowledgement | None, host: str) -> None:
        metrics.MESSAGES.labels(self._source.name, acknowledgement.code if acknowledgement else "none").inc()
        if isinstance(reading.error, UnknownSender):
            metrics.REFUSED.labels(self._source.name, "sender").inc()
            log.warning("%s: a message from %s refused: its sender is not on the list", self._source.name, host)

    async def _processed(self, received: Received) -> Acknowledgement | None:
        """The application acknowledgement, once the message is on disk; None to close the connection."""
        reading, fault = received.reading, received.reading.error
        try:
            try:
                receipt = await self._kept(received)
            except Rejected as error:
                fault = error
                receipt = await self._kept(replace(received, reading=_with_error(reading, error)))
        except Unavailable as error:
            log.error("message not taken: %s", error)
            return None if self._source.close_on_failure else self._acknowledged(received, error)
        except Exception as error:
            # A fault of ours. The message is kept for whoever mends it; the sender must not believe it applied.
            log.exception("message failed")
            return await self._keep_failed(received, error)
        if receipt.cause and fault is not None and not isinstance(fault, UnknownSender):
            # The class and the place: the text may quote the message.
            kind = type(fault).__name__
            log.warning(
                "%s: a message from %s was not applied: %s at %s, cause %s",
                self._source.name, received.host, kind, fault.place or "the message", receipt.cause,
            )  # fmt: skip
        self._check_soon(receipt, reading)
        return receipt.acknowledgement

    def _acknowledged(self, received: Received, error: GatewayError | None) -> Acknowledgement:
        return self._acknowledger.of(received.raw, received.reading.message, error, received.now)

    async def _kept(self, received: Received) -> Receipt:
        # Built beside the writer's thread, which is the one that all messages wait for.
        acknowledgement = self._acknowledged(received, received.reading.error)
        asked = asked_by(received, self._ask)
        return await self._store.write(lambda connection: self._keep(connection, received, acknowledgement), asked)

    def _keep(self, connection: Connection, received: Received, acknowledgement: Acknowledgement) -> Receipt:
        """Apply and keep the message, unless these very bytes were applied before. Raises `Rejected`."""
        identity, now = received.identity, received.now
        earlier = messages.NOTHING_EARLIER
        if identity["control_id"]:
            earlier = messages.earlier(connection, **{key: identity[key] for key in ("sender", "control_id", "digest")})
            if earlier.ack is not None:
                return Receipt(Acknowledgement(earlier.ack_code, earlier.ack))
        verdict = self._judge(connection, received.reading, now)
        if earlier.row is not None:
            row = earlier.row
            keep_again(connection, row, verdict, received.reading, acknowledgement.block)
        else:
            block, odd = acknowledgement.block, [REUSED] * earlier.other
            row = keep(connection, received, self._source.name, verdict, block, *odd)
        happened = event_of_message(received, self._source.name, verdict, row)
        if happened is not None:
            audit.record(connection, happened)
        if self._on_kept is not None and verdict.code == "AA":
            self._on_kept(connection, row, identity["type"], self._source.name, now)
        return Receipt(acknowledgement, row, verdict.cause)

    def _judge(
        self, connection: Connection, reading: Reading, now: int, *, repeated: MessageRow | None = None
    ) -> Verdict:
        """Apply the message, or say why it is not applied. `repeated`: its row, if it was processed before.

        Raises `Rejected`, with the transaction to be taken back, when the stored order or patient forbids the message.
        """
        verdict = unread_verdict(reading)
        if verdict is not None:
            return verdict
        history = partial(self._reader.history, without=repeated)
        outcomes = self._apply(connection, reading.statements, now=now, history=history, again=repeated is not None)
        return applied_verdict(reading, outcomes)

    async def _keep_failed(self, received: Received, error: Exception) -> Acknowledgement | None:
        failure = internal(error)
        acknowledgement = self._acknowledged(received, failure)
        verdict = Verdict(MessageState.FAILED, acknowledgement.code, [error_finding(failure).as_row()])
        try:
            await self._store.write(
                lambda connection: keep(connection, received, self._source.name, verdict, acknowledgement.block)
            )
        except Exception:
            log.exception("failed message not kept")
            lost = NeedsPerson(f"internal error ({type(error).__name__})")
            acknowledgement = self._acknowledged(received, lost)
        return None if self._source.close_on_failure else acknowledgement

    async def refuse(self, head: bytes, peer: MllpPeer, reason: str) -> bytes | None:
        """The answer to a frame that could not be taken whole: too large, too slow, cut off."""
        error = Malformed(f"the message is {reason}", place=Place("MSH"))
        return await self._refusing.refuse(head, peer.host, reason, error, self._clock())

    async def _checked(self, reading: Reading) -> Reading:
        """The reading with the structural fault for which the sender's messages are to be refused, if there is one."""
        message, sender = reading.message, reading.sender
        if message is None or sender is None or reading.error is not None or reading.kept_only is not None:
            return reading
        if sender.conformance != "reject":
            return reading
        try:
            error = await self._checks.fault(message, sender.conformance_version, self._source.name)
        except Unavailable as failure:
            error = NeedsPerson(failure.message)
        return reading if error is None else _with_error(reading, error)

    def _check_soon(self, receipt: Receipt, reading: Reading) -> None:
        sender = reading.sender
        if receipt.row is None or reading.message is None or sender is None or reading.kept_only is not None:
            return
        if sender.conformance == "warn":
            self._checks.soon(receipt.row, sender.conformance_version, self._source.name, len(reading.message.raw))

    async def replay(self, message_id: MessageRow) -> str:
        """Process a kept message again, with today's mappings; returns its new acknowledgement code.

        Raises `UnknownKey` when there is no such message.
        """
        row = await self._store.read(lambda connection: messages.get(connection, message_id))
        if row is None:
            raise UnknownKey(f"there is no message {message_id}", place=f"message {message_id}")
        reading = self._reader.read(row["body"], row["received_at"], row["listener"])
        return await self._store.write(lambda connection: self.apply_again(connection, row, reading).code)

    def apply_again(self, connection: Connection, row: Mapping[str, Any], reading: Reading) -> Verdict:
        """Process a kept message (its whole row, and how the message reads today) again, within a transaction."""
        now = self._clock()
        with connection.begin_nested() as savepoint:
            try:
                verdict = self._judge(connection, reading, now, repeated=row["id"])
            except Rejected as error:
                savepoint.rollback()
                reading = _with_error(reading, error)
                verdict = self._judge(connection, reading, now)
        if row["state"] in APPLIED and verdict.state in WRONG:
            # What was applied stays applied: the mappings of today may be older than those of then.
            why = "; ".join(finding["text"] for finding in verdict.findings)
            text = f"{_worked_on_again(now)}; would be answered {verdict.code} ({why}) and was left as it is"
            messages.add_findings(connection, row["id"], [Finding("", text).as_row()])
            return verdict
        # A finding without a place is the history itself.
        before = "; ".join(f"{one['place']}: {one['text']}" for one in row["findings"] if one["place"])
        answered = f"answered {row['ack_code']} when it came ({before or 'nothing remarkable'})"
        history = Finding("", f"{_worked_on_again(now)}; {answered}")
        # Who sends these bytes again gets the answer of today.
        fault = reading.error if verdict.state in WRONG else None
        block = self._acknowledger.of(row["body"], reading.message, fault, now).block if reading.sender else row["ack"]
        keep_again(connection, row["id"], verdict, reading, block, history)
        return verdict


def _worked_on_again(now: int) -> str:
    return f"worked on again at {datetime.fromtimestamp(now / 1e6, UTC):%Y-%m-%d %H:%M:%SZ}"


def _with_error(reading: Reading, error: GatewayError) -> Reading:
    return replace(reading, error=error, statements=())
