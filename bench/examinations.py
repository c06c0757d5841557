"""Examinations of an order book: each order has come, been performed, made a study that an EHR took.

A thousand orders a day up to now; filled by the database itself from the rows of `order_book`, whose ids are all alike.
"""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import Connection, text

from bench import order_book
from gateway.clock import now

MICROS: Final = 1_000_000
A_DAY: Final = 1_000
STATIONS: Final = 12
INSTANCES: Final = 2
"""Of the series of each study."""
_HOUR, _MINUTE = 3_600 * MICROS, 60 * MICROS
_MPPS: Final = (
    '{"PerformedProcedureStepStatus": "COMPLETED", "PerformedSeriesSequence": [' + '{"x": "%s"}' % ("1" * 900) + "]}"
)
_HEADER: Final = bytes(600)
_BEGUN: Final = f"o.created_at + {_HOUR} + (o.id * 7919 % 240) * {_MINUTE}"
"""One to five hours after the order."""
_EXAM: Final = f"({_BEGUN} + {20 * _MINUTE})"
_DATE: Final = {
    "sqlite": f"strftime('%Y%m%d', {_EXAM} / {MICROS}, 'unixepoch')",
    "postgresql": f"to_char(to_timestamp({_EXAM} / {MICROS}) AT TIME ZONE 'UTC', 'YYYYMMDD')",
}
_STATEMENTS: Final = (
    f"UPDATE orders SET created_at = :now - (:size - id) * {86_400 * MICROS // A_DAY} - {8 * _HOUR}",
    f"""
    INSERT INTO performed_steps (id, sop_uid, state, calling_ae, accession, attributes, findings, digest, begun_at,
      ended_at, end_event, created_at, updated_at)
    SELECT o.id, '2.25.8' || o.id, 'COMPLETED', 'SCANNER' || (o.id % {STATIONS}), o.accession, :mpps, '[]', :digest,
      {_BEGUN}, {_EXAM}, 'end', {_BEGUN}, {_EXAM} FROM orders o ORDER BY o.id
    """,
    """
    INSERT INTO performed_step_links (id, performed_step, "order", study_uid, step_id, match)
    SELECT p.id, p.id, p."order", p.study_uid, s.step_id, 'study and step' FROM procedures p JOIN steps s ON s.id = p.id
    ORDER BY p.id
    """,
    f"""
    INSERT INTO studies (id, study_uid, accession, patient_id, patient_issuer, source_ae, attributes, study_date,
      name_key, revision, settled_revision, first_at, last_at, settled_at)
    SELECT o.id, p.study_uid, o.accession, q.patient_id, q.issuer, 'SCANNER' || (o.id % {STATIONS}),
      '{{"StudyDescription": "CT Thorax", "PatientID": "' || q.patient_id || '"}}', @DATE, q.name_key, 2, 2, {_EXAM},
      {_EXAM}, {_EXAM} + {3 * _MINUTE}
    FROM orders o JOIN procedures p ON p.id = o.id JOIN patients q ON q.id = o.patient ORDER BY o.id
    """,
    """
    INSERT INTO series (id, study, series_uid, modality, attributes)
    SELECT id, id, study_uid || '.1', 'CT', '{"Modality": "CT", "SeriesNumber": "1", "BodyPartExamined": "CHEST"}'
    FROM studies ORDER BY id
    """,
    *(
        f"""
        INSERT INTO instances (id, series, sop_uid, sop_class_uid, attributes, transfer_syntax_uid, header, digest,
          received_at)
        SELECT (id - 1) * {INSTANCES} + {number + 1}, id, study_uid || '.1.{number}', '1.2.840.10008.5.1.4.1.1.2',
          '{{"InstanceNumber": "{number}"}}', '1.2.840.10008.1.2.1', :header, :digest, first_at FROM studies ORDER BY id
        """
        for number in range(INSTANCES)
    ),
    f"""
    INSERT INTO outbox (id, kind, lane, subject, payload, state, due_at, attempts, lease, lease_until, created_at,
      finished_at)
    SELECT id, 'ehr:main', 'ehr:main|' || study_uid, study_uid, '{{}}', 'done', settled_at, 1, '', 0, settled_at,
      settled_at + (id % 600) * {MICROS} FROM studies ORDER BY id
    """,
)


def performed(url: str, size: int) -> float:
    """Fill an empty database with `size` orders or a few more and all that became of them; the seconds it took."""
    begun = time.perf_counter()
    order_book.filled(url, size)
    with order_book.hurried(url) as connection:
        _fill(connection)
    return time.perf_counter() - begun


def _fill(connection: Connection) -> None:
    size = connection.execute(text("SELECT max(id) FROM orders")).scalar_one()
    values = {"now": now(), "size": size, "mpps": _MPPS, "header": _HEADER, "digest": bytes(32)}
    for statement in _STATEMENTS:
        given = {name: value for name, value in values.items() if f":{name}" in statement}
        connection.execute(text(statement.replace("@DATE", _DATE[connection.dialect.name])), given)
    connection.execute(text("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE"))
