"""Each table of the schema follows a rule, and the rules name no table that is not there."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table

from gateway.records.retention import RetentionKind
from gateway.store.retention.table_rules import TABLE_RULES
from gateway.store.schema import metadata


def without_rule(schema: MetaData) -> set[str]:
    return set(schema.tables) - set(TABLE_RULES)


def test_each_table_has_a_rule() -> None:
    assert without_rule(metadata) == set()
    assert set(TABLE_RULES) - set(metadata.tables) == set()
    assert {rule.kind for rule in TABLE_RULES.values()} >= set(RetentionKind)


def test_a_new_table_without_a_rule_is_named() -> None:
    schema = MetaData()
    Table("films", schema, Column("id", Integer))
    assert without_rule(schema) == {"films"}


def test_the_page_names_the_rule_of_each_table() -> None:
    page = (Path(__file__).parents[3] / "docs/retention.md").read_text(encoding="utf-8")
    for table, rule in TABLE_RULES.items():
        assert f"| `{table}` | {rule.text} |" in page
