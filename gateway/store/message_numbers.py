"""The numbers and names in messages that were not applied: no order and no patient leads to such a message."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, and_, delete, insert, or_, select

from gateway.records.lookup import MessageNumber, NamePrefixes, NumberKind
from gateway.records.row_ids import MessageRow
from gateway.store.schema import message_numbers

HIGHEST: Final = "\U0010ffff"


def keep(connection: Connection, message: MessageRow, numbers: Collection[MessageNumber]) -> None:
    """Let a message be found by these numbers and by no other."""
    rows = [{"message": message, **one._asdict()} for one in sorted(set(numbers))]
    if rows:
        connection.execute(insert(message_numbers), rows)


def forget(connection: Connection, message: MessageRow) -> None:
    """Before a message is worked on again."""
    connection.execute(delete(message_numbers).where(message_numbers.c.message == message))


def numbered(connection: Connection, *numbers: str, limit: int) -> list[MessageRow]:
    """The newest messages that hold any of these numbers."""
    value, kind = message_numbers.c.value, message_numbers.c.kind
    wanted = select(message_numbers.c.message).where(value.in_(numbers), kind == NumberKind.NUMBER).distinct()
    return list(connection.execute(wanted.order_by(message_numbers.c.message.desc()).limit(limit)).scalars())


def named(connection: Connection, names: NamePrefixes, *, limit: int) -> list[MessageRow]:
    """Messages that name a patient like this, by name."""
    value, kind = message_numbers.c.value, message_numbers.c.kind
    ranges = [(NumberKind.NAME, prefix) for prefix in names.name] + [
        (NumberKind.GIVEN, prefix) for prefix in names.given
    ]
    if not ranges:
        return []
    meant = or_(*(and_(kind == of, value >= prefix, value <= prefix + HIGHEST) for of, prefix in ranges))
    wanted = select(message_numbers.c.message).where(meant).order_by(value).limit(limit)
    return list(dict.fromkeys(connection.execute(wanted).scalars()))
