"""Raw rows to rows that may leave: what the table of columns says of a value is done here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.operations.export.column import Column, ColumnType
from gateway.operations.export.columns import written
from gateway.operations.export.pseudonyms import Pseudonyms
from gateway.operations.export.subject import Subject
from gateway.operations.export.treatment import Retained, Treatment

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Change = Callable[[Any, Subject], Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """A row as the gateway has it. `values`: name of a column -> text, number or microseconds; None, '': none."""

    subject: Subject
    values: Mapping[str, Any]


class Treated:
    """Makes rows of one table. `columns`: those that are written, in their order."""

    def __init__(self, table: str, pseudonyms: Pseudonyms, retained: frozenset[Retained]) -> None:
        self.columns = written(table, retained)
        self._pseudonyms = pseudonyms
        self._changes = [(column.name, self._change(column, retained)) for column in self.columns]

    def row(self, raw: Raw) -> list[Any]:
        """The values of the columns; None for none. Moments are `datetime`."""
        values, subject = raw.values, raw.subject
        return [
            None if (value := values.get(name)) is None or value == "" else change(value, subject)
            for name, change in self._changes
        ]

    def _change(self, column: Column, retained: frozenset[Retained]) -> Change:
        pseudonyms, kind = self._pseudonyms, column.kind or column.name
        match column.treatment_with(retained):
            case Treatment.PSEUDONYM:
                return lambda value, _subject: pseudonyms.of(kind, value)
            case Treatment.REPLACED_UID:
                return lambda value, _subject: pseudonyms.uid(value)
            case Treatment.SHIFTED:
                return lambda value, subject: _moment(value - pseudonyms.shift(subject.key))
            case _:
                return _kept(column)


def _kept(column: Column) -> Change:
    clean = column.clean
    if clean is None or column.type is ColumnType.SECONDS:
        return lambda value, _subject: value
    return lambda value, _subject: clean(value)


def _moment(micros: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return None
