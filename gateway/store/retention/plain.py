"""Rows on which nothing hangs: queries of scanners, and what arrived unreadable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.store.retention.rule import Rule, remove
from gateway.store.schema import queries, query_matches, refusals


def _nothing_stays(_connection: Connection, _ids: Sequence[int], _limits: Limits) -> Mapping[int, Stays]:
    return {}


def _delete_queries(connection: Connection, ids: Sequence[int], _limits: Limits) -> Counter[str]:
    tally: Counter[str] = Counter()
    remove(connection, tally, query_matches, query_matches.c.query, ids)
    remove(connection, tally, queries, queries.c.id, ids)
    return tally


def _delete_refusals(connection: Connection, ids: Sequence[int], _limits: Limits) -> Counter[str]:
    tally: Counter[str] = Counter()
    remove(connection, tally, refusals, refusals.c.id, ids)
    return tally


QUERIES = Rule(RetentionKind.QUERIES, queries, queries.c.asked_at, _nothing_stays, _delete_queries)
REFUSALS = Rule(RetentionKind.REFUSALS, refusals, refusals.c.refused_at, _nothing_stays, _delete_refusals)
