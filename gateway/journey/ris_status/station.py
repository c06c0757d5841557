"""Station `ris_status`: what is due at a destination goes there, each message until the destination has answered it.

A message is sent again with the same bytes, and so the same MSH-10, until it is acknowledged: a receiver tells by it
that it has the message already. What it refuses waits for a person; sent again then, it is made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import NeedsPerson, Unavailable
from gateway.journey.ris_status.auditing import event_of_message
from gateway.journey.ris_status.making import StatusMaker, StatusReceiver
from gateway.records.row_ids import MessageRow
from gateway.records.status import MadeMessage, Status
from gateway.records.work import Work
from gateway.store import Store, audit, messages, order_book, outbox_claims
from gateway.store.outbox_claims import Done
from gateway.wire.hl7.answers import ReceivedAcknowledgement
from gateway.wire.hl7.mllp_sender import MllpSender
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

ControlIdOf = Callable[[bytes, str], str]
"""The bytes of a kept message and the name of its listener -> MSH-10, "" for what is no message."""
LONGEST_WORDS: Final = 1000
"""Characters of a receiver's own words that are kept."""


class StatusDelivery:
    """Brings messages to one destination; what its breaker and its connections are shared by."""

    def __init__(self, sender: MllpSender, breaker: Breaker) -> None:
        self._sender = sender
        self._breaker = breaker

    async def deliver(self, raw: bytes, control_id: str, lease: Lease) -> ReceivedAcknowledgement:
        """The destination's acknowledgement, whatever it says. Raises `Unavailable` when it gave none, `LeaseLostError`
        when another worker has the message by the time that it would go out."""
        try:
            answer = await self._sender.send(raw, control_id, confirm=lease.confirm)
        except Unavailable as error:
            self._breaker.failed(error.retry_after)
            raise
        self._breaker.answered()
        return answer


class StatusStation:
    """`tell` is what the worker calls for the statuses of one destination."""

    def __init__(
        self, store: Store, maker: StatusMaker, receiver: StatusReceiver, delivery: StatusDelivery, clock: Clock
    ) -> None:
        self._clock = clock
        self._store = store
        self._maker = maker
        self._receiver = receiver
        self._delivery = delivery

    async def tell(self, work: Work, lease: Lease) -> Done:
        """Send a status. Raises `Unavailable` without an acknowledgement, `NeedsPerson` for one that refuses it and for
        a status of which no message can be made."""
        status = Status.of(work.payload)
        made = status.message or await self._made(work, status)
        answer = await self._delivery.deliver(made.raw, made.control_id, lease)
        if answer.accepts:
            what = status.progress.value
            sent = event_of_message(self._receiver.name, made.raw, made.control_id, what, self._clock())
            return Done(_outcome(answer, what), partial(audit.record, happened=sent))
        await self._store.write(partial(_keep, work=work, status=replace(status, message=None)))
        raise _refused(answer)

    async def _made(self, work: Work, status: Status) -> MadeMessage:
        """The message of a status that has none, kept before it is sent."""

        def make(connection: Connection) -> Status:
            [made] = self._maker.made(connection, _of_today(connection, work, status), self._receiver)
            if made.message is not None:
                _keep(connection, work, made)
            return made

        made = await self._store.write(make)
        if made.message is None:
            raise NeedsPerson(f"no message can be made: {made.fault}", place=self._receiver.kind)
        return made.message


def _of_today(connection: Connection, work: Work, status: Status) -> Status:
    """The status, of the order that the examination has today: a merge of patients may have made one of two since.
    Raises `NeedsPerson` where there is none any more."""
    if order_book.is_there(connection, status.order):
        return status
    order = order_book.of_study(connection, work.subject)
    if order is None or order.row is None:
        raise NeedsPerson("no message can be made: the order is gone")
    return replace(status, order=order.row)


def _keep(connection: Connection, work: Work, status: Status) -> None:
    if not outbox_claims.keep_payload(connection, work, status.as_payload()):
        raise Unavailable("another worker has the status by now")


class ForwardStation:
    """`forward` is what the worker calls for the messages that are passed on to one destination."""

    def __init__(
        self, name: str, store: Store, control_id_of: ControlIdOf, delivery: StatusDelivery, clock: Clock
    ) -> None:
        self._name = name
        self._clock = clock
        self._store = store
        self._control_id_of = control_id_of
        self._delivery = delivery

    async def forward(self, work: Work, lease: Lease) -> Done:
        """Send a kept message with the bytes that came. Raises `Unavailable` without an acknowledgement, `NeedsPerson`
        for one that refuses it."""
        message = MessageRow(int(str(work.payload["message"])))
        row = await self._store.read(lambda connection: messages.get(connection, message))
        if row is None:
            return Done({"note": "the message is gone"})
        control_id, what = self._control_id_of(row["body"], row["listener"]), f"{row['type']} m{message}"
        answer = await self._delivery.deliver(row["body"], control_id, lease)
        if not answer.accepts:
            raise _refused(answer)
        sent = event_of_message(self._name, row["body"], control_id, what, self._clock())
        return Done(_outcome(answer, what), partial(audit.record, happened=sent))


def _outcome(answer: ReceivedAcknowledgement, what: str) -> dict[str, Any]:
    return {"status": answer.code, "id": answer.control_id, "what": what} | (
        {"note": answer.text} if answer.text else {}
    )


def _refused(answer: ReceivedAcknowledgement) -> NeedsPerson:
    """The receiver's own words."""
    error = NeedsPerson(f"answered {answer.code}: {answer.text[:LONGEST_WORDS] or '(no reason given)'}")
    error.details = {"status": answer.code, "id": answer.control_id}
    return error
