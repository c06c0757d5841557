"""HL7 messages. Those of an order go with it: an order is what its messages say. The others have an age of their own.

What a message without an order states of a patient stays in the row of the patient, with the time of each statement:
the same message, sent again, changes nothing that is newer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, exists, select, union_all, update

from gateway.records.legal_hold import Held
from gateway.records.patient import Identity
from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.records.work import Activity
from gateway.store import legal_holds
from gateway.store.engine import lock
from gateway.store.retention.rule import UNFINISHED, Rule, Verdict, remove, unfinished
from gateway.store.schema import (
    message_numbers,
    messages,
    order_messages,
    outbox,
    patient_messages,
    patients,
    unknown_codes,
)


def _hold(connection: Connection, ids: Sequence[int]) -> None:
    wanted = select(messages.c.sender, messages.c.control_id).where(messages.c.id.in_(ids))
    lock(connection, *{f"message|{sender}|{control_id}" for sender, control_id in connection.execute(wanted)})


def _judge(connection: Connection, ids: Sequence[int], limits: Limits) -> Mapping[int, Stays]:
    verdict = Verdict()
    of_orders = select(order_messages.c.message).where(order_messages.c.message.in_(ids)).distinct()
    verdict.stay(connection.execute(of_orders).scalars(), Stays.ORDER)
    is_open = (messages.c.cause != "", messages.c.put_away_at.is_(None))
    verdict.stay(
        connection.execute(select(messages.c.id).where(messages.c.id.in_(ids), *is_open)).scalars(), Stays.PERSON
    )
    wanted = select(patient_messages.c.message, patients.c.id, patients.c.patient_id, patients.c.issuer)
    wanted = wanted.join(patients, patients.c.id == patient_messages.c.patient)
    rows = connection.execute(wanted.where(patient_messages.c.message.in_(ids))).all()
    waiting = unfinished(connection, (f"patient-{row.id}" for row in rows))
    verdict.stay((row.message for row in rows if f"patient-{row.id}" in waiting), Stays.UNDELIVERED)
    verdict.stay(_passed_on(connection, ids), Stays.UNDELIVERED)
    if held := legal_holds.held(connection):
        named = ((row.message, Identity(row.patient_id, row.issuer)) for row in rows)
        verdict.stay((message for message, patient in named if held.has_patient([patient])), Stays.HELD)
        verdict.stay(_numbered(connection, ids, held), Stays.HELD)
    return verdict


def _numbered(connection: Connection, ids: Sequence[int], held: Held) -> Sequence[int]:
    """Messages that were not applied and hold a number that is on legal hold."""
    numbers = {*held.accession_numbers, *(patient_id for patient_id, _ in held.patients)}
    columns = message_numbers.c
    wanted = select(columns.message).where(columns.message.in_(ids), columns.value.in_(sorted(numbers)))
    return connection.execute(wanted.distinct()).scalars().all()


def _passed_on(connection: Connection, ids: Sequence[int]) -> Sequence[int]:
    """Those of `ids` from the oldest message on that names no patient and waits to be passed on."""
    is_forward = outbox.c.kind.startswith(f"{Activity.FORWARD}:", autoescape=True)
    oldest = [
        select(outbox.c.payload.label("payload"))
        .where(outbox.c.state == state, is_forward, outbox.c.subject.startswith("listener-"))
        .order_by(outbox.c.id)
        .limit(1)
        .subquery()
        for state in UNFINISHED
    ]
    payloads = connection.execute(union_all(*(select(one) for one in oldest))).scalars().all()
    first = min((int(payload["message"]) for payload in payloads), default=None)
    return [one for one in ids if first is not None and one >= first]


def without_subject(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Those of these messages that no order and no patient has any more."""
    if not ids:
        return []
    of_order = exists().where(order_messages.c.message == messages.c.id)
    of_patient = exists().where(patient_messages.c.message == messages.c.id)
    wanted = select(messages.c.id).where(messages.c.id.in_(sorted(set(ids))), ~of_order, ~of_patient)
    return list(connection.execute(wanted).scalars())


def delete(connection: Connection, ids: Sequence[int], _limits: Limits | None = None) -> Counter[str]:
    """Delete these messages, of which no order is kept."""
    tally: Counter[str] = Counter()
    for table in (patient_messages, message_numbers):
        remove(connection, tally, table, table.c.message, ids)
    named = update(unknown_codes).where(unknown_codes.c.message.in_(ids))
    connection.execute(named.values(message=None))
    remove(connection, tally, messages, messages.c.id, ids)
    return tally


MESSAGES = Rule(RetentionKind.MESSAGES, messages, messages.c.received_at, _judge, delete, _hold)
