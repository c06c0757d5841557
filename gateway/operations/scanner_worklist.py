"""The worklist as one scanner sees it: what its last query is answered now, and what it does not see and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import local_day
from gateway.journey.worklist.station import Question, Rules, kept_items
from gateway.operations.why_not_shown import StepWhyNotShown, question_of, remarks_of, step_of
from gateway.records.order import Attributes
from gateway.records.row_ids import StepRow
from gateway.store import refusals, scanner_queries, worklist
from gateway.wire.dimse import AcceptorPolicy
from gateway.worklist.scanner_rules import NO_RULE

MOST: Final = 200
"""Steps that are listed, of those that are shown and of those that are not."""
LOOKED_AT: Final = 2_000
"""Candidates of a query that are looked at."""
OF_DAY: Final = 500
"""Steps of a day that are looked at."""
MOST_QUERIES: Final = 10
MOST_REASONS: Final = 12


@dataclass(frozen=True, slots=True)
class ScannerQuery:
    """A query that was answered."""

    asked_at: int
    address: str
    keys: Attributes
    status: int
    matches: int
    micros: int


@dataclass(frozen=True, slots=True)
class RefusedAssociation:
    refused_at: int
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScannerWorklist:
    """Of one AE title, at one moment."""

    station: str
    rule: str
    """Pattern of the row of scanners.yaml that applies; empty: none."""
    remarks: tuple[str, ...]
    queries: tuple[ScannerQuery, ...]
    """The newest first."""
    refused: tuple[RefusedAssociation, ...]
    """Each cause once since the gateway started; the newest first."""
    shown: tuple[StepWhyNotShown, ...]
    """What the last query would be answered now."""
    more_shown: bool
    day: str
    """DA, of the steps that are not shown."""
    hidden: tuple[StepWhyNotShown, ...]
    more_hidden: bool
    reasons: tuple[tuple[str, int], ...]
    """What keeps steps of the day off, the most frequent first, with their number."""


def scanner_worklist(
    connection: Connection, policy: AcceptorPolicy, rules: Rules, station: str, now: int, day: str = ""
) -> ScannerWorklist:
    """`day`: DA of the steps that are not shown; empty: the day of the last query, or today."""
    queries = scanner_queries.newest(connection, station, limit=MOST_QUERIES)
    question = question_of(queries[0]["keys"] if queries else {}, station, rules, now)
    day = day or question.bounds.date_from or f"{local_day(now, rules.zone):%Y%m%d}"
    shown = _matching(connection, question)
    rows = worklist.of_day(connection, day, limit=OF_DAY)
    hidden = [row for row in (step_of(row, question, rules, None) for row in rows) if row.reasons]
    reasons = Counter(reason for row in hidden for reason in row.reasons)
    return ScannerWorklist(
        station=station,
        rule="" if question.rule is NO_RULE else question.rule.pattern,
        remarks=tuple(remarks_of(policy, question, station, queries[0] if queries else None)),
        queries=tuple(ScannerQuery(**_only(ScannerQuery, row)) for row in queries),
        refused=tuple(
            RefusedAssociation(**row) for row in refusals.of_scanner(connection, station, limit=MOST_QUERIES)
        ),
        shown=tuple(_steps(connection, question, rules, station, shown[:MOST])),
        more_shown=len(shown) > MOST,
        day=day,
        hidden=tuple(hidden[:MOST]),
        more_hidden=len(hidden) > MOST or len(rows) == OF_DAY,
        reasons=tuple(reasons.most_common(MOST_REASONS)),
    )


def _matching(connection: Connection, question: Question) -> list[StepRow]:
    """Steps that the query is answered, at most one more than are listed."""
    found: list[StepRow] = []
    for row in islice(worklist.candidates(connection, question.bounds, question.visible), LOOKED_AT):
        items = kept_items(row.texts, row.state, row.station_ae or question.station, question.rule.form)
        if any(map(question.accepts(row.station_ae), items)):
            found.append(row.id)
        if len(found) > MOST:
            break
    return found


def _steps(
    connection: Connection, question: Question, rules: Rules, station: str, rows: Sequence[StepRow]
) -> list[StepWhyNotShown]:
    answered = scanner_queries.answered(connection, station, rows)
    of_rows = worklist.of_steps(connection, rows)
    return [step_of(row, question, rules, answered.get(row["id"])) for row in of_rows]


def _only(kind: type[Any], row: Any) -> dict[str, Any]:
    return {name: row[name] for name in kind.__dataclass_fields__}
