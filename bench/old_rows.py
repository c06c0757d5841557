"""A database as a hospital has it after two years: orders that have ended, their messages, studies, finished work.

Everything is spread evenly over two years, and each row counts as changed when it was made.
"""

from __future__ import annotations

import time
import zlib
from typing import Final

from sqlalchemy import Connection, text

from bench import order_book
from gateway.clock import now
from gateway.records.retention import DAY
from gateway.simulators import ris

DAYS: Final = 730
HEADER_BYTES: Final = 1_400
"""Of an instance, deflated."""
INSTANCES: Final = 2
"""Of each study; figures per study are of these."""
_BYTES: Final = {"sqlite": "CAST({} AS BLOB)", "postgresql": "convert_to({}, 'UTF8')"}
_DIGEST: Final = {"sqlite": "randomblob(32)", "postgresql": "sha256(convert_to({}, 'UTF8'))"}


def filled(url: str, *, messages: int, studies: int) -> float:
    """Fill an empty database with so many messages, two for each order, and studies; the seconds it took."""
    begun = time.perf_counter()
    order_book.filled(url, messages // 2)
    with order_book.hurried(url) as connection:
        for statement, values in _statements(connection, studies):
            connection.execute(text(statement), {key: values[key] for key in values if f":{key}" in statement})
        connection.execute(text("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE"))
    return time.perf_counter() - begun


def _statements(connection: Connection, studies: int) -> list[tuple[str, dict[str, object]]]:
    dialect = connection.dialect.name
    orders = int(connection.execute(text("SELECT max(id) FROM orders")).scalar_one())
    every = max(1, orders // studies)
    body = next(iter(ris.orders(1, 1))).hl7().decode().replace("'", "")
    values: dict[str, object] = {
        "first": now() - DAYS * DAY, "each": DAYS * DAY // orders, "body": body, "ack": "MSH|^~\\&|ACK" + "x" * 120,
        "header": zlib.compress(b"\0" * 64) + bytes(range(256)) * (HEADER_BYTES // 256),
        "resource": '{"digest": "0", "resource": {"resourceType": "ImagingStudy", "text": "' + "x" * 1500 + '"}}',
    }  # fmt: skip
    moment = "CAST(:first AS BIGINT) + {} * CAST(:each AS BIGINT)"
    at, of_id = moment.format("o.id"), moment.format("id")
    number = "CAST(o.id AS TEXT)"
    replaced = _BYTES[dialect].format(f"replace(CAST(:body AS TEXT), 'MSG', 'MSG' || {number})")
    digest = _DIGEST[dialect].format(f"{number} || '-' || '{{}}'")
    chosen = f"FROM orders o WHERE o.id % {every} = 0"
    uid = "'2.25.7' || CAST(o.id - 1 AS TEXT)"
    made: list[str] = [
        f"UPDATE orders SET created_at = {of_id}, updated_at = {of_id}, event_at = {of_id}",
        f"UPDATE patients SET updated_at = {of_id}",
        f"UPDATE steps SET state = 'COMPLETED', updated_at = {of_id}",
    ]
    for half in (0, 1):
        made.append(
            "INSERT INTO messages (id, received_at, listener, peer, sender, control_id, type, digest, body, state, "
            f"ack_code, ack, findings) SELECT 2 * o.id - 1 + {half}, {at}, 'ris', '127.0.0.1', 'RIS|HOSP', "
            f"'M' || CAST(2 * o.id + {half} AS TEXT), 'ORM^O01', {digest.replace('{}', str(half))}, {replaced}, "
            f"'applied', 'AA', {_BYTES[dialect].format('CAST(:ack AS TEXT)')}, '[]' FROM orders o"
        )
        made.append(
            f"INSERT INTO order_messages (\"order\", message, outcome) SELECT id, 2 * id - 1 + {half}, 'updated' "
            "FROM orders"
        )
    made += [
        "INSERT INTO studies (id, study_uid, accession, patient_id, patient_issuer, source_ae, attributes, revision, "
        f"settled_revision, first_at, last_at, settled_at) SELECT o.id, {uid}, o.accession, "
        f"'P' || CAST(o.id - 1 AS TEXT), 'RIS', 'CT1', '{{}}', 2, 2, {at}, {at}, {at} {chosen}",
        f"INSERT INTO series (id, study, series_uid, attributes) SELECT o.id, o.id, {uid} || '.1', '{{}}' {chosen}",
        "INSERT INTO outbox (kind, lane, subject, payload, state, due_at, attempts, lease, lease_until, created_at, "
        f"finished_at) SELECT 'ehr:main', 'ehr:main|' || {uid}, {uid}, CAST(:resource AS TEXT), 'done', {at}, 1, '', "
        f"0, {at}, {at} {chosen}",
    ]
    made += [
        "INSERT INTO instances (series, sop_uid, sop_class_uid, attributes, transfer_syntax_uid, header, digest, "
        f"received_at) SELECT o.id, {uid} || '.1.{one}', '1.2.840.10008.5.1.4.1.1.2', '{{}}', '1.2.840.10008.1.2.1', "
        f":header, {_DIGEST[dialect].format(number)}, {at} {chosen}"
        for one in range(INSTANCES)
    ]
    if dialect == "postgresql":
        made += [
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            for table in ("messages", "studies", "series")
        ]
    return [(one, values) for one in made]
