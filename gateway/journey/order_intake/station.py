"""Station 1: an HL7 message comes in, is kept as it came, applied, and answered after the commit.

AA says that the order is in the worklist and on disk. AE and AR say what is wrong and where; the message is kept all
the same. When the database is away there is no AA, whatever the message says.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Fate, GatewayError, Malformed, NeedsPerson, Rejected, Unavailable, UnknownKey, UnknownSender
from gateway.journey.order_intake.acknowledgement import ack_code, moment_of, problem_of, wants
from gateway.journey.order_intake.reading import MessageReader, Reading, internal
from gateway.journey.order_intake.sources import ListenerSource
from gateway.journey.order_intake.verdict import REPLACED, Outcomes, StoredAnswer, Verdict, identity_of, refused
from gateway.observe import metrics
from gateway.store import Store, messages, refusals
from gateway.wire.hl7 import batch as hl7_batch
from gateway.wire.hl7.acknowledgement import Problem, acknowledge, code_of, recoded, reject_unreadable
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.mllp_framing import MllpPeer

log = logging.getLogger(__name__)

Apply = Callable[..., "Outcomes"]
"""Station 2, `scheduling.apply`; handed in by the composition root."""


class Checks(Protocol):
    """Structure checks, `conformance.Conformance`; handed in by the composition root."""

    def soon(self, row: int, version: str, listener: str) -> None: ...

    async def fault(self, message: Message, version: str, listener: str) -> GatewayError | None: ...


LONG_BYTES: Final = 64 * 1024


class OrderIntake:
    """Receives what an MLLP listener reads. One per listener."""

    def __init__(
        self,
        store: Store,
        reader: MessageReader,
        apply: Apply,
        source: ListenerSource,
        clock: Clock,
        conformance: Checks,
    ) -> None:
        self._store = store
        self._conformance = conformance
        self._reader = reader
        self._apply = apply
        self._source = source
        self._clock = clock
        self._numbers = itertools.count(1)

    async def receive(self, raw: bytes, peer: MllpPeer) -> Sequence[bytes] | None:
        """The blocks that answer `raw`; None to close the connection without an answer.

        A batch is answered by one block, a batch of acknowledgements; each of its messages stands for itself.
        """
        batch = hl7_batch.split(raw)
        if batch is None:
            return await self._receive(raw, peer.host)
        if batch.stated not in (None, len(batch.messages)):
            log.warning(
                "%s: a batch of %d messages says that it has %s", self._source.name, len(batch.messages), batch.stated
            )
        acknowledgements: list[bytes] = []
        for message in batch.messages:
            answers = await self._receive(message, peer.host)
            if answers is None:
                return None
            acknowledgements += answers
        now = self._clock()
        return [hl7_batch.answer(batch, acknowledgements, control_id=self._control_id(now), now=moment_of(now))]

    async def _receive(self, raw: bytes, host: str) -> Sequence[bytes] | None:
        now = self._clock()
        # A long message is read aside: it must not keep the other senders waiting.
        read = partial(self._reader.read, raw, now, self._source.name)
        reading = read() if len(raw) <= LONG_BYTES else await asyncio.to_thread(read)
        if reading.is_answer:
            # To what an enhanced sender was told; whoever answers answers never ends.
            metrics.MESSAGES.labels(self._source.name, "none").inc()
            return ()
        reading = await self._checked(reading)
        ack = await self._acknowledgement(raw, reading, host, now)
        code = code_of(ack)
        metrics.MESSAGES.labels(self._source.name, code).inc()
        if isinstance(reading.error, UnknownSender):
            metrics.REFUSED.labels(self._source.name, "sender").inc()
            log.warning("%s: a message from %s refused: its sender is not on the list", self._source.name, host)
        if ack is None:
            return None
        if reading.sender is None or reading.sender.acknowledge == "original" or reading.message is None:
            return (ack,)
        return self._enhanced(reading.message, ack, code, now)

    async def _acknowledgement(self, raw: bytes, reading: Reading, host: str, now: int) -> bytes | None:
        """The application acknowledgement, once the message is on disk; None to close the connection."""
        try:
            try:
                kept = await self._store.write(lambda connection: self._keep(connection, raw, reading, host, now))
            except Rejected as error:
                rejected = refused(reading, error)
                kept = await self._store.write(lambda connection: self._keep(connection, raw, rejected, host, now))
            self._check_soon(kept, reading)
            return kept.ack
        except Unavailable as error:
            log.error("message not taken: %s", error)
            return None if self._source.close_on_failure else self._answer(raw, reading.message, error, now)
        except Exception as error:
            # A fault of ours. The message is kept for whoever mends it; the sender must not believe it applied.
            log.exception("message failed")
            return await self._keep_failed(raw, reading, host, now, error)

    def _check_soon(self, kept: StoredAnswer, reading: Reading) -> None:
        sender = reading.sender
        if kept.row is None or reading.message is None or sender is None or reading.unserved:
            return
        if sender.conformance == "warn":
            self._conformance.soon(kept.row, sender.conformance_version, self._source.name)

    async def _checked(self, reading: Reading) -> Reading:
        """With the structural fault for which the sender's messages are to be refused."""
        message, sender = reading.message, reading.sender
        if message is None or sender is None or reading.error is not None or reading.unserved:
            return reading
        if sender.conformance != "reject":
            return reading
        try:
            error = await self._conformance.fault(message, sender.conformance_version, self._source.name)
        except Unavailable as failure:
            error = NeedsPerson(failure.message)
        return reading if error is None else refused(reading, error)

    def _enhanced(self, message: Message, ack: bytes, code: str, now: int) -> Sequence[bytes]:
        """What MSH-15 and MSH-16 ask for (HL7 2.5.1 ch. 2.9.3): the accept acknowledgement, then the application's.

        A message that was kept is accepted (CA), whatever the application says of it. When the sender wants to hear
        nothing of the application, CE tells what AE would have.
        """
        accept, application = message.accept_acknowledgement, message.application_acknowledgement
        if not accept and not application:
            return (ack,)
        told = wants(application, code)
        commit = {"AA": "CA", "AE": "CA" if told else "CE"}.get(code, "CR")
        answers = []
        if wants(accept, commit):
            answers.append(recoded(message, ack, commit, control_id=self._control_id(now), now=moment_of(now)))
        if told and commit != "CR":
            answers.append(ack)
        return answers

    async def refuse(self, head: bytes, peer: MllpPeer, reason: str) -> bytes | None:
        """The answer to a frame that could not be taken whole: too large, too slow, cut off."""
        now = self._clock()
        error = Malformed(f"the message is {reason}", place="MSH")
        where = f"{self._source.name} {peer.host}"
        metrics.REFUSED.labels(self._source.name, reason).inc()
        try:
            await self._store.write(
                lambda connection: refusals.add(connection, refused_at=now, source=where, reason=reason, body=head)
            )
        except Unavailable as failure:
            log.error("refused message not kept: %s", failure)
        return reject_unreadable(head, problem_of(error), control_id=self._control_id(now), now=moment_of(now))

    async def replay(self, message_id: int) -> str:
        """Work on a kept message again, with today's mappings; returns its new acknowledgement code.

        Raises `UnknownKey` when there is no such message.
        """
        row = await self._store.read(lambda connection: messages.get(connection, message_id))
        if row is None:
            raise UnknownKey(f"there is no message {message_id}", place=f"message {message_id}")
        reading = self._reader.read(row["body"], row["received_at"], row["listener"])
        return await self._store.write(lambda connection: self.apply_again(connection, row, reading).code)

    def apply_again(self, connection: Connection, row: Mapping[str, Any], reading: Reading) -> Verdict:
        """Work on a kept message (its whole row, and how it reads today) again, within a transaction."""
        now = self._clock()
        with connection.begin_nested() as savepoint:
            try:
                judged = self._judge(connection, reading, row["body"], now, again=row["id"])
            except Rejected as error:
                savepoint.rollback()
                judged = self._judge(connection, refused(reading, error), row["body"], now)
        before = "; ".join(f"{one['place']}: {one['text']}" for one in row["findings"])
        told = f"answered {row['ack_code']} when it came ({before or 'nothing remarkable'})"
        history = {"place": "", "text": f"worked on again at {moment_of(now):%Y-%m-%d %H:%M:%SZ}; {told}"}
        # The sender was told what it was told: its acknowledgement stays.
        kept = replace(judged, ack=row["ack"], findings=[history, *judged.findings])
        _settle_again(connection, row["id"], kept)
        return judged

    def _keep(self, connection: Connection, raw: bytes, reading: Reading, host: str, now: int) -> StoredAnswer:
        """Apply and keep the message, unless it was applied before."""
        identity = identity_of(raw, reading.message)
        before = messages.Earlier()
        if identity["control_id"]:
            before = messages.earlier(connection, **{key: identity[key] for key in ("sender", "control_id", "digest")})
            if before.ack is not None:
                return StoredAnswer(before.ack)
        judged = self._judge(connection, reading, raw, now)
        if before.row is not None:
            _settle_again(connection, before.row, judged)
            return StoredAnswer(judged.ack, before.row)
        reused = [{"place": "MSH-10", "text": "another message came under this control id"}] if before.other else []
        row = messages.add(
            connection, **identity, received_at=now, listener=self._source.name, peer=host, body=raw,
            state=judged.state, ack_code=judged.code, ack=judged.ack, findings=reused + judged.findings,
        )  # fmt: skip
        messages.tie(connection, row, judged.orders, judged.patients)
        return StoredAnswer(judged.ack, row)

    def _judge(
        self, connection: Connection, reading: Reading, raw: bytes, now: int, *, again: int | None = None
    ) -> Verdict:
        """Apply the message, or tell why it cannot be read. `again`: its row, when it has been worked on before.

        Raises `Rejected`, with the transaction to be taken back, when what is known of the order or patient forbids it.
        """
        message = reading.message
        if reading.unserved:
            finding = {"place": "MSH-9", "text": "kept only: messages of this type say nothing to the worklist"}
            return Verdict("stored", "AA", self._answer(raw, message, None, now), [finding])
        if reading.error is not None:
            error = reading.error
            finding = {"place": str(error.place), "text": error.message}
            state = "rejected" if error.fate is Fate.REJECT else "failed"
            return Verdict(state, ack_code(error), self._answer(raw, message, error, now), [finding])
        history = partial(self._reader.history, without=again)
        outcomes = self._apply(connection, reading.statements, now=now, history=history, again=again is not None)
        return _applied(reading, outcomes, self._answer(raw, message, None, now))

    async def _keep_failed(self, raw: bytes, reading: Reading, host: str, now: int, error: Exception) -> bytes | None:
        failure = internal(error)
        finding = [{"place": "", "text": failure.message}]
        ack = self._answer(raw, reading.message, failure, now)

        def keep(connection: Connection) -> None:
            messages.add(
                connection, **identity_of(raw, reading.message), received_at=now, listener=self._source.name, peer=host,
                body=raw, state="failed", ack_code="AR", ack=ack, findings=finding,
            )  # fmt: skip

        try:
            await self._store.write(keep)
        except Exception:
            log.exception("failed message not kept")
            ack = self._answer(raw, reading.message, NeedsPerson(f"internal error ({type(error).__name__})"), now)
        return None if self._source.close_on_failure else ack

    def _answer(self, raw: bytes, message: Message | None, error: GatewayError | None, now: int) -> bytes:
        if message is None:
            error = error or Malformed("not readable", place="MSH")
            code = ack_code(error)
            return reject_unreadable(
                raw, problem_of(error), code=code, control_id=self._control_id(now), now=moment_of(now)
            )
        problems: Sequence[Problem] = [problem_of(error)] if error else []
        code = ack_code(error) if error else "AA"
        return acknowledge(message, code, problems, control_id=self._control_id(now), now=moment_of(now))

    def _control_id(self, now: int) -> str:
        return f"{now:x}{next(self._numbers) % 0x10000:04x}"


def _applied(reading: Reading, outcomes: Outcomes, ack: bytes) -> Verdict:
    findings = list(outcomes.findings)
    if reading.message is not None and REPLACED in reading.message.text:
        text = f"bytes that are not {reading.message.codec} text were read as {REPLACED}"
        findings.append({"place": "MSH-18", "text": text})
    orders: dict[int, str] = {}
    for order, outcome in outcomes.orders:
        if order is not None and orders.get(order, "stale") == "stale":
            orders[order] = outcome
    stale = {outcome for _, outcome in outcomes.orders} == {"stale"} and not outcomes.patients
    return Verdict("stale" if stale else "applied", "AA", ack, findings, orders, outcomes.patients)


def _settle_again(connection: Connection, row: int, judged: Verdict) -> None:
    messages.untie(connection, row)
    messages.settle(connection, row, state=judged.state, ack_code=judged.code, ack=judged.ack, findings=judged.findings)
    messages.tie(connection, row, judged.orders, judged.patients)
