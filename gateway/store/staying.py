"""Instances that count where they are kept: no archive has moved them to another study, or given them other UIDs."""

from __future__ import annotations

from sqlalchemy import ColumnElement, FromClause, exists

from gateway.store.schema import instances, moved_instances


def stays(instance: FromClause = instances) -> ColumnElement[bool]:
    """Condition of a row of `instances`, or of an alias of that table."""
    return ~exists().where(moved_instances.c.instance == instance.c.id)
