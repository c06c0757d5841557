"""A message on disk: its row, what it touched, and the numbers by which people ask for one that touched nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.journey.order_intake.numbers import numbers_of
from gateway.journey.order_intake.reading import Reading, Received
from gateway.journey.order_intake.verdict import Verdict
from gateway.records.finding import Finding
from gateway.records.row_ids import MessageRow
from gateway.store import message_numbers, message_ties, messages, unknown_codes
from gateway.store.absences import Key
from gateway.store.read_ahead import Asked

Ask = Callable[[Sequence[Any], Sequence[Key], Sequence[str]], Asked | None]
"""`scheduling.asked_by`: what applying a message will look for."""


def asked_by(received: Received, ask: Ask) -> Asked | None:
    """What a message will look for, as far as that is known before its transaction."""
    sender, control_id = received.identity["sender"], received.identity["control_id"]
    keys, locks = (messages.key_of(sender, control_id),), (messages.lock_of(sender, control_id),)
    return ask(received.reading.statements, keys if control_id else (), locks if control_id else ())


def keep(
    connection: Connection, received: Received, listener: str, verdict: Verdict, ack: bytes, *before: Finding
) -> MessageRow:
    """Keep a message that came; `before`: findings that stand before those of the verdict."""
    row = messages.add(
        connection, **received.identity, received_at=received.now, listener=listener, peer=received.host,
        body=received.raw, state=verdict.state, ack_code=verdict.code, ack=ack,
        findings=verdict.with_findings(*before), unserved=verdict.unserved, cause=verdict.cause,
    )  # fmt: skip
    _tie(connection, row, verdict, received.reading)
    if received.missing:
        unknown_codes.count(connection, received.missing, now=received.now, message=row)
    return row


def keep_again(
    connection: Connection, row: MessageRow, verdict: Verdict, reading: Reading, ack: bytes, *before: Finding
) -> None:
    """Note what became of a kept message that was worked on again."""
    message_ties.untie(connection, row)
    message_numbers.forget(connection, row)
    messages.settle(
        connection, row, state=verdict.state, ack_code=verdict.code, ack=ack, findings=verdict.with_findings(*before),
        unserved=verdict.unserved, cause=verdict.cause,
    )  # fmt: skip
    _tie(connection, row, verdict, reading)


def _tie(connection: Connection, row: MessageRow, verdict: Verdict, reading: Reading) -> None:
    message_ties.tie(connection, row, verdict.orders, verdict.patients)
    if not (verdict.orders or verdict.patients) and reading.message is not None and reading.kept_only is None:
        message_numbers.keep(connection, row, numbers_of(reading.message))
