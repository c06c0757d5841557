"""HL7 messages as they came, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    select,
    union_all,
    update,
)

from gateway.records.message import APPLIED, WRONG, MessageState
from gateway.records.row_ids import MessageRow, OrderRow, PatientRow
from gateway.store.absences import Key, are_absent
from gateway.store.among import Among
from gateway.store.engine import lock
from gateway.store.schema import EMPTY, messages, order_messages, orders, patient_messages, word
from gateway.store.statement import Statement

_KEPT: Final = (
    "received_at", "listener", "peer", "sender", "control_id", "type", "digest", "body", "state", "ack_code", "ack",
    "findings", "unserved", "cause",
)  # fmt: skip
LONG_BODY: Final = 64 * 1024
_ADD: Final = Statement(insert(messages), _KEPT)
_COLUMNS: Final = (messages.c.id, messages.c.ack, messages.c.ack_code, messages.c.state)
_SENDERS: Final = (messages.c.sender == bindparam("sender"), messages.c.control_id == bindparam("control_id"))
_SAME: Final = select(*_COLUMNS, literal(1).label("same")).where(*_SENDERS, messages.c.digest == bindparam("digest"))
_OTHER: Final = select(*_COLUMNS, literal(0).label("same")).where(*_SENDERS, messages.c.digest != bindparam("digest"))
# One of each at the most: some senders give every message the same control id.
_EARLIER: Final = Statement(
    union_all(select(_SAME.limit(1).subquery("the_same")), select(_OTHER.limit(1).subquery("the_other")))
)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What came before under a message's MSH-10."""

    ack: bytes | None = None
    """The acknowledgement that these very bytes got when they were applied: the answer to give again."""
    ack_code: str = ""
    """MSA-1 of that acknowledgement."""
    row: MessageRow | None = None
    """The row of these very bytes when they were not applied: to be worked on again, in place."""
    other: bool = False
    """Whether other bytes came under the same MSH-10."""


NOTHING_EARLIER: Final = Earlier()


def add(
    connection: Connection,
    *,
    received_at: int,
    listener: str,
    peer: str,
    sender: str,
    control_id: str,
    type: str,
    digest: bytes,
    body: bytes,
    state: MessageState,
    ack_code: str,
    ack: bytes,
    findings: list[dict[str, str]],
    unserved: bool = False,
    cause: str = "",
) -> MessageRow:
    """Keep a message; returns its id. `unserved`: refused for its type alone, its contents were not read; `cause`: the
    key of why a message of another type was not applied."""
    return MessageRow(_added(connection, locals()))


def _added(connection: Connection, values: Mapping[str, Any]) -> int:
    # What is long is not held back with that of others.
    return (_ADD.add_now if len(values["body"]) > LONG_BODY else _ADD.add)(connection, values)


def key_of(sender: str, control_id: str) -> Key:
    """By which it is known whether a message came under this MSH-10."""
    return "message", sender, control_id


def lock_of(sender: str, control_id: str) -> str:
    """What is held while a message of this MSH-10 is looked for and kept."""
    return f"message|{sender}|{control_id}"


def earlier(connection: Connection, *, sender: str, control_id: str, digest: bytes) -> Earlier:
    """What came before under this MSH-10.

    What was rejected is judged anew when it comes again: its cause may have been mended since. Holds the message's
    identity until the transaction ends, so that the same message on two connections is one.
    """
    lock(connection, lock_of(sender, control_id))
    if are_absent(connection, (key_of(sender, control_id),)):
        return NOTHING_EARLIER
    rows = _EARLIER.rows(connection, {"sender": sender, "control_id": control_id, "digest": digest})
    other = any(not row["same"] for row in rows)
    same = next((row for row in rows if row["same"]), None)
    if same is None:
        return Earlier(other=other)
    if same["state"] in APPLIED:
        return Earlier(ack=same["ack"], ack_code=same["ack_code"], other=other)
    return Earlier(row=same["id"], other=other)


def settle(
    connection: Connection,
    message: MessageRow,
    *,
    state: MessageState,
    ack_code: str,
    ack: bytes,
    findings: list[dict[str, str]],
    unserved: bool = False,
    cause: str = "",
) -> None:
    """Note what became of a message that was worked on again. Put away stays what fails of the same cause again."""
    values = {
        "the_id": message, "state": state, "ack_code": ack_code, "ack": ack, "findings": findings,
        "unserved": unserved, "the_cause": cause,
    }  # fmt: skip
    connection.execute(_SETTLE, values)


_SETTLE: Final = (
    update(messages)
    .where(messages.c.id == bindparam("the_id"))
    .values({name: bindparam(name) for name in ("state", "ack_code", "ack", "findings", "unserved")})
    .values(
        cause=bindparam("the_cause"),
        put_away_at=case((messages.c.cause == bindparam("the_cause"), messages.c.put_away_at), else_=null()),
    )
)


def add_findings(connection: Connection, message: MessageRow, findings: list[dict[str, str]]) -> None:
    """Add to what was found in a message after it has been answered."""
    before = connection.execute(_FINDINGS, {"the_id": message}).scalar_one_or_none()
    if before is not None:
        connection.execute(_ADD_FINDINGS, {"the_id": message, "findings": [*before, *findings]})


_FINDINGS: Final = select(messages.c.findings).where(messages.c.id == bindparam("the_id")).with_for_update()
_ADD_FINDINGS: Final = (
    update(messages).where(messages.c.id == bindparam("the_id")).values(findings=bindparam("findings"))
)


def since(connection: Connection, *, first: int, last: int | None = None) -> list[MessageRow]:
    """Ids of the messages received from `first` on (microseconds), in the order they came; up to `last` if given."""
    wanted = select(messages.c.id).where(messages.c.received_at >= first).order_by(messages.c.id)
    if last is not None:
        wanted = wanted.where(messages.c.received_at <= last)
    return list(connection.execute(wanted).scalars())


def patients_of(connection: Connection, message: MessageRow) -> set[PatientRow]:
    """Rows of the patients of whom a message spoke."""
    of_orders = (
        select(orders.c.patient)
        .join(order_messages, order_messages.c.order == orders.c.id)
        .where(order_messages.c.message == message, orders.c.patient.is_not(None))
    )
    answered = select(patient_messages.c.patient).where(patient_messages.c.message == message)
    return set(connection.execute(union_all(of_orders, answered)).scalars())


_BODIES: Final = (
    select(messages.c.id, messages.c.received_at, messages.c.listener, messages.c.body)
    .where(
        messages.c.id.in_(
            select(order_messages.c.message).where(order_messages.c.order.in_(bindparam("the_orders", expanding=True)))
        )
    )
    .order_by(messages.c.id)
)


def bodies_of_orders(connection: Connection, *rows: OrderRow) -> list[RowMapping]:
    """`id`, `received_at`, `listener` and `body` of the messages that spoke of any of these orders, in the order they
    came."""
    return list(connection.execute(_BODIES, {"the_orders": rows}).mappings())


_BODIES_OF: Final = Statement(select(messages.c.id, messages.c.body).where(Among(messages.c.id, "the_ids")))


def bodies(connection: Connection, rows: Sequence[MessageRow]) -> dict[MessageRow, bytes]:
    """The bytes of those of these messages that there are."""
    found = _BODIES_OF.rows(connection, {"the_ids": rows})
    return {MessageRow(row["id"]): bytes(row["body"]) for row in found}


def get(connection: Connection, message: MessageRow) -> dict[str, Any] | None:
    """The whole row, with its bytes."""
    row = connection.execute(select(messages).where(messages.c.id == message)).mappings().first()
    return dict(row) if row else None


def listing(
    connection: Connection, *, state: MessageState | None = None, limit: int = 100, before: int | None = None
) -> list[dict[str, Any]]:
    """Rows for people, newest first, without the bytes."""
    where = in_state(state) if state else []
    if before is not None:
        where.append(messages.c.id < before)
    return _rows(connection, where, limit)


def in_state(state: MessageState) -> list[ColumnElement[bool]]:
    """Of a message in this state."""
    return [messages.c.state == state, *([] if state is MessageState.APPLIED else [NOT_APPLIED])]


IS_OPEN: Final = (messages.c.cause != EMPTY, messages.c.put_away_at.is_(None))
"""Of a message that was not applied and that still calls for a person; the words of its index."""
NOT_APPLIED: Final = messages.c.state != word(MessageState.APPLIED)
"""The words of the index of all other states."""


def wrong(connection: Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Rows of messages that were not applied, newest first, without those whose type is not served or that a person
    put away."""
    return _rows(connection, list(IS_OPEN), limit)


def count_wrong(connection: Connection) -> int:
    """How many `wrong` would list without its limit."""
    wanted = select(func.count()).select_from(messages).where(*IS_OPEN)
    return int(connection.execute(wanted).scalar_one())


def unserved(connection: Connection) -> list[dict[str, Any]]:
    """`type`, `count` and `last` (when the newest came) of messages whose type is not served, by type."""
    wanted = (
        select(messages.c.type, func.count().label("count"), func.max(messages.c.received_at).label("last"))
        .where(messages.c.state.in_(WRONG), messages.c.unserved)
        .group_by(messages.c.type)
        .order_by(messages.c.type)
    )
    return [_plain(row) for row in connection.execute(wanted).mappings()]


def _rows(connection: Connection, where: Sequence[ColumnElement[bool]], limit: int) -> list[dict[str, Any]]:
    columns = [column for column in messages.c if column.name not in ("body", "ack", "digest", "unserved")]
    wanted = select(*columns).where(*where).order_by(messages.c.id.desc()).limit(limit)
    return [_plain(row) for row in connection.execute(wanted).mappings()]


def _plain(row: RowMapping) -> dict[str, Any]:
    """SQLAlchemy's own kind of key is no `str` to a JSON writer."""
    return {str(key): value for key, value in row.items()}


_TOLD: Final = (
    messages.c.id, messages.c.received_at, messages.c.listener, messages.c.type, messages.c.control_id,
    messages.c.state, messages.c.ack_code, messages.c.findings,
)  # fmt: skip


def of_order(connection: Connection, order: OrderRow, *, limit: int) -> list[dict[str, Any]]:
    """The last messages that spoke of an order, oldest first."""
    wanted = (
        select(*_TOLD, order_messages.c.outcome)
        .join(order_messages, order_messages.c.message == messages.c.id)
        .where(order_messages.c.order == order)
        # Along its key: by `messages.id` all of them would be read and sorted.
        .order_by(order_messages.c.message.desc())
        .limit(limit)
    )
    return [dict(row) for row in reversed(connection.execute(wanted).mappings().all())]


def of_patient(connection: Connection, patient: PatientRow, *, limit: int) -> list[dict[str, Any]]:
    """The last messages that spoke of a patient as such (ADT), oldest first."""
    wanted = (
        select(*_TOLD, patient_messages.c.outcome)
        .join(patient_messages, patient_messages.c.message == messages.c.id)
        .where(patient_messages.c.patient == patient)
        .order_by(patient_messages.c.message.desc())
        .limit(limit)
    )
    return [dict(row) for row in reversed(connection.execute(wanted).mappings().all())]
