"""The database of a site that has run for long: messages, orders, examinations, studies, finished work, audit trail.

Each order has had ten messages; all but the newest orders were performed, made a study of two instances, and an EHR
took the study (`examinations`). Of a thousand messages one was not applied. Bodies and headers are short, so that many
rows fit on a disk; a row that is found by an index costs the same with long ones. Rows come in the order of their
moments, a thousand orders a day up to now.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, inspect, text

from bench import examinations, order_book
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind, canonical
from gateway.store import audit as trail
from gateway.store.schema import (
    audit,
    imaging_studies,
    imaging_study_tokens,
    message_numbers,
    messages,
    order_messages,
    patient_messages,
    queries,
    query_matches,
)

PER_ORDER: Final = 10
"""Messages of an order."""
OPEN: Final = 200
"""Steps, the newest, that wait on the worklist; all others were performed."""
NOT_APPLIED_EACH: Final = 1_000
NOT_PUT_AWAY: Final = 50
"""Messages that were not applied and call for a person."""
WAITING: Final = 1_000
PARKED: Final = 500
CAUSE: Final = "5ca1ab1e"
_CHUNK: Final = 5_000
_MINUTE: Final = 60_000_000
_NUMBER: Final = f"((o.id - 1) * {PER_ORDER} + k.k)"
"""Of a message, from 0."""
_EACH: Final = "(" + " UNION ALL ".join(f"SELECT {k} AS k" for k in range(PER_ORDER)) + ") k"
_WRONG: Final = f"({_NUMBER} % {NOT_APPLIED_EACH} = {NOT_APPLIED_EACH - 1})"
_LATELY: Final = "WHERE id > (SELECT max(id) FROM orders) - 10000 ORDER BY id"
"""The queries that are kept."""
_BYTES: Final = {"sqlite": "CAST({} AS BLOB)", "postgresql": "convert_to({}, 'UTF8')"}
_DIGEST: Final = {"sqlite": "randomblob(32)", "postgresql": "sha256(convert_to(CAST({} AS TEXT), 'UTF8'))"}
_BODY: Final = "'MSH|^~\\&|RIS|HOSP|||20301123||ORM^O01|M' || {} || '|P|2.5.1' || chr(13) || 'PID|||P' || (o.id - 1)"
_RESOURCE: Final = (
    '\'{"resourceType": "ImagingStudy", "status": "available", "subject": {"identifier": {"system": "urn:oid:2.25.1", '
    '"value": "\' || s.patient_id || \'"}}, "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:\' || '
    's.study_uid || \'"}], "numberOfSeries": 1, "numberOfInstances": 2, "series": [{"uid": "\' || s.study_uid || '
    '\'.1", "modality": {"code": "CT"}}]}\''
)
_TOKENS: Final = (
    ("identifier", "urn:dicom:uid", "'urn:oid:' || s.study_uid"),
    ("identifier", "urn:oid:2.25.2", "s.accession"),
    ("patient", "urn:oid:2.25.1", "s.patient_id"),
    ("modality", "http://dicom.nema.org/resources/ontology/DCM", "'CT'"),
    ("status", "http://hl7.org/fhir/imagingstudy-status", "'available'"),
)


def filled(url: str, size: int) -> float:
    """Fill an empty database with `size` messages or a few more, and all else; the seconds it took."""
    begun = time.perf_counter()
    examinations.performed(url, size // PER_ORDER)
    with order_book.hurried(url) as connection:
        if connection.dialect.name == "sqlite":
            raw: Any = connection.connection.dbapi_connection
            raw.create_function("chr", 1, chr, deterministic=True)
        for table, statements in _filling(connection.dialect.name):
            _fill(connection, table, statements)
        _fill_audit(connection)
        if connection.dialect.name == "postgresql":
            _let_keys_go_on(connection)
        for statement in _AFTER:
            _run(connection, statement)
        if connection.dialect.name == "postgresql":
            connection.execute(text("VACUUM ANALYZE"))
        else:
            # Nobody lets SQLite count its rows at a site.
            connection.execute(text("DELETE FROM sqlite_stat1"))
    return time.perf_counter() - begun


def _filling(dialect: str) -> Iterator[tuple[Table, list[str]]]:
    yield messages, [_of_messages(dialect)]
    wrong = f"CASE WHEN {_WRONG} THEN 'rejected' ELSE 'updated' END"
    yield (
        order_messages,
        [
            f'INSERT INTO order_messages ("order", message, outcome) SELECT o.id, {_NUMBER} + 1, {wrong} '
            f"FROM orders o CROSS JOIN {_EACH} WHERE k.k > 0 AND NOT {_WRONG} ORDER BY o.id, k.k"
        ],
    )
    yield (
        patient_messages,
        [
            f"INSERT INTO patient_messages (patient, message, outcome) SELECT o.id, {_NUMBER} + 1, 'updated' "
            f"FROM orders o CROSS JOIN (SELECT 0 AS k) k ORDER BY o.id"
        ],
    )
    yield (
        message_numbers,
        [
            "INSERT INTO message_numbers (message, kind, value) SELECT id, 'number', 'W' || id FROM messages "
            "WHERE state = 'rejected' ORDER BY id"
        ],
    )
    yield (
        queries,
        [
            "INSERT INTO queries (id, asked_at, calling_ae, address, keys, status, matches, micros) "
            f"SELECT id, created_at, 'SCANNER' || (id % 12), '127.0.0.1', '{{}}', 0, 1, 2000 FROM orders {_LATELY}"
        ],
    )
    yield query_matches, [f"INSERT INTO query_matches (query, step) SELECT id, id FROM orders {_LATELY}"]
    digest = _DIGEST[dialect].format("s.id")
    yield (
        imaging_studies,
        [
            "INSERT INTO imaging_studies (id, study_uid, version, revision, updated_at, digest, started_from, "
            f"started_to, resource) SELECT s.id, s.study_uid, 1, 2, s.settled_at, {digest}, s.first_at, "
            f"s.first_at + 1000000, {_RESOURCE} FROM studies s ORDER BY s.id"
        ],
    )
    yield (
        imaging_study_tokens,
        [
            f"INSERT INTO imaging_study_tokens (imaging_study, parameter, system, value) SELECT s.id, '{parameter}', "
            f"'{system}', {value} FROM studies s ORDER BY s.id"
            for parameter, system, value in _TOKENS
        ],
    )


def _of_messages(dialect: str) -> str:
    number = f"CAST({_NUMBER} AS TEXT)"
    body = _BYTES[dialect].format(_BODY.format(number))
    put_away = (
        f"CASE WHEN {_WRONG} AND o.id <= (SELECT max(id) FROM orders) - {NOT_PUT_AWAY * 100} THEN o.created_at END"
    )
    values = {
        "id": f"{_NUMBER} + 1", "received_at": "o.created_at + k.k * 8000000", "listener": "'ris'",
        "peer": "'127.0.0.1'", "sender": "'RIS|HOSP'", "control_id": f"'M' || {number}",
        "type": "CASE WHEN k.k = 0 THEN 'ADT^A08' ELSE 'ORM^O01' END", "digest": _DIGEST[dialect].format(number),
        "body": body, "state": f"CASE WHEN {_WRONG} THEN 'rejected' ELSE 'applied' END",
        "ack_code": f"CASE WHEN {_WRONG} THEN 'AE' ELSE 'AA' END", "ack": _BYTES[dialect].format("'MSA|AA'"),
        "findings": "'[]'", "cause": f"CASE WHEN {_WRONG} THEN '{CAUSE}' ELSE '' END", "put_away_at": put_away,
    }  # fmt: skip
    return (
        f"INSERT INTO messages ({', '.join(values)}) SELECT {', '.join(values.values())} "
        f"FROM orders o CROSS JOIN {_EACH} ORDER BY o.id, k.k"
    )


_OPEN_ORDERS: Final = f"(SELECT max(id) FROM orders) - {OPEN}"
_AFTER: Final = (
    f'DELETE FROM performed_step_links WHERE "order" > {_OPEN_ORDERS}',
    f"DELETE FROM performed_steps WHERE id > {_OPEN_ORDERS}",
    f"UPDATE steps SET state = 'COMPLETED' WHERE id <= {_OPEN_ORDERS}",
    "INSERT INTO outbox (kind, lane, subject, payload, state, due_at, attempts, lease, lease_until, created_at, "
    "finished_at, cause, cause_text) SELECT 'ehr:main', 'ehr:main|parked' || id, 'parked' || id, '{}', 'parked', "
    f"created_at, 3, '', 0, created_at, created_at, '{CAUSE}', 'refused' FROM orders WHERE id <= {PARKED}",
)


def _fill(connection: Connection, table: Table, statements: list[str]) -> None:
    """Rows first, indexes after them."""
    for index in table.indexes:
        index.drop(connection)
    for statement in statements:
        _run(connection, statement)
    for index in table.indexes:
        index.create(connection)


def _run(connection: Connection, statement: str) -> None:
    """As it is written: with colons and percent signs that stand for themselves."""
    driver: Any = connection.connection.dbapi_connection
    driver.cursor().execute(statement)


def _fill_audit(connection: Connection) -> None:
    """An event for each order, chained."""
    rows = connection.execute(text("SELECT id, created_at FROM orders ORDER BY id")).all()
    link = trail.Link(0, trail.START)
    for start in range(0, len(rows), _CHUNK):
        events: list[dict[str, Any]] = []
        for id, moment in rows[start : start + _CHUNK]:
            event = canonical(
                AuditEvent(
                    AuditKind.ORDER_RECORD, Action.CREATE, moment, Actor("RIS|HOSP", ActorKind.RIS),
                    patients=(f"P{id - 1}",), accession_numbers=(f"A{id - 1}",),
                )
            )  # fmt: skip
            link = trail.Link(id, trail.hash_of(link.hash, id, event))
            events.append({"sequence": id, **trail.columns_of(event)[0], "event": event, "hash": link.hash})
        connection.exec_driver_sql("BEGIN")
        connection.execute(insert(audit), events)
        connection.exec_driver_sql("COMMIT")
    connection.exec_driver_sql(
        "INSERT INTO audit_patients (patient_id, sequence) SELECT 'P' || (id - 1), id FROM orders"
    )


def _let_keys_go_on(connection: Connection) -> None:
    """Behind the ids that were given by hand."""
    for table in inspect(connection).get_table_names():
        serial = (
            "SELECT pg_get_serial_sequence(quote_ident(:name), column_name) FROM information_schema.columns "
            "WHERE table_name = :name AND column_name = 'id'"
        )
        name = connection.execute(text(serial), {"name": table}).scalar()
        if name:
            connection.exec_driver_sql(f"SELECT setval('{name}', (SELECT coalesce(max(id), 0) + 1 FROM \"{table}\"))")
