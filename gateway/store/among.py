"""Conditions on many values, whose text does not depend on how many there are: such a statement is compiled once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import orjson
from sqlalchemy import Boolean, ColumnElement, Dialect, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import UserDefinedType


class _Values(UserDefinedType[Any]):
    """A list as the driver takes it: of SQLite as a JSON text."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        return list if dialect.name == "postgresql" else _as_json


def _as_json(values: Collection[Any]) -> str:
    return orjson.dumps(list(values)).decode()


class Among(ColumnElement[bool]):
    """True where `column` is one of the values that the statement is given under `name`."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.values = bindparam(name, type_=_Values())

    def self_group(self, against: Any = None) -> Among:
        """Itself: SQLAlchemy would compare the answer with 1 on SQLite, which then finds no index for the column."""
        return self


@compiles(Among)
def _in_json(among: Among, compiler: SQLCompiler, **options: Any) -> str:
    values = compiler.process(among.values, **options)
    return f"{compiler.process(among.column, **options)} IN (SELECT value FROM json_each({values}))"


@compiles(Among, "postgresql")
def _any_of(among: Among, compiler: SQLCompiler, **options: Any) -> str:
    kind = compiler.dialect.type_compiler_instance.process(among.column.type)
    values = compiler.process(among.values, **options)
    return f"{compiler.process(among.column, **options)} = ANY (CAST({values} AS {kind}[]))"
