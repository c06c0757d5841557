"""Searching every column of every table for values, such as the numbers of a patient that was erased."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, LargeBinary, Table, Text, select, tuple_, type_coerce

from gateway.store.schema import Json, metadata

PAGE_ROWS: Final = 500
_WORD: Final = re.compile(rb"[A-Za-z0-9.\x80-\xff]+")
_WITHIN: Final = rb"[A-Za-z0-9.]"
LONGEST_INFLATED: Final = 64 * 1024 * 1024


class Needles:
    """Values that are looked for in bytes: each stands there as a whole, not as a part of a longer word."""

    def __init__(self, values: Iterable[str]) -> None:
        encoded = {form for value in values for form in _forms(value)}
        self._by_word: dict[bytes, list[re.Pattern[bytes]]] = {}
        for value in encoded:
            word = max(_WORD.findall(value), key=len, default=value)
            pattern = re.compile(b"(?<!" + _WITHIN + b")" + re.escape(value) + b"(?!" + _WITHIN + b")")
            self._by_word.setdefault(word.strip(b"."), []).append(pattern)

    def __bool__(self) -> bool:
        return bool(self._by_word)

    def are_in(self, data: bytes) -> bool:
        """Whether any of the values stands in `data`."""
        words = {word.strip(b".") for word in _WORD.findall(data)}
        patterns = [pattern for word in words & self._by_word.keys() for pattern in self._by_word[word]]
        return any(pattern.search(data) for pattern in patterns)

    def places(self, data: bytes) -> int:
        """How often the values stand in `data`."""
        return sum(len(pattern.findall(data)) for some in self._by_word.values() for pattern in some)


def _forms(value: str) -> set[bytes]:
    """The bytes of a value in the encodings that messages and headers have."""
    forms = {value.encode()}
    for codec in ("latin-1", "shift_jis", "gb18030", "utf-16-le"):
        if not value.isascii():
            try:
                forms.add(value.encode(codec))
            except UnicodeEncodeError:
                continue
    return forms


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that holds one of the values."""

    table: str
    key: tuple[Any, ...]
    column: str

    def __str__(self) -> str:
        return f"{self.table} {'|'.join(map(str, self.key))} {self.column}"


@dataclass(frozen=True, slots=True)
class Page:
    rows: int
    hits: Sequence[Hit]
    last: tuple[Any, ...] | None
    """The key behind which the next page begins; None: this was the last."""


def tables(leave_out: Iterable[str]) -> Iterator[Table]:
    """All tables of the schema that hold texts or bytes."""
    left = set(leave_out)
    yield from (table for table in metadata.sorted_tables if table.name not in left and _searched(table))


def _searched(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if isinstance(column.type, (Text, Json, LargeBinary))]


def page(connection: Connection, table: Table, needles: Needles, after: tuple[Any, ...] | None) -> Page:
    """Search the next rows of a table, in order of its key."""
    key, columns = list(table.primary_key), _searched(table)
    raw = [column if isinstance(column.type, LargeBinary) else type_coerce(column, Text) for column in columns]
    wanted = select(*key, *raw).order_by(*key).limit(PAGE_ROWS)
    if after is not None:
        wanted = wanted.where(tuple_(*key) > tuple_(*after) if len(key) > 1 else key[0] > after[0])
    hits, last, rows = [], None, connection.execute(wanted).all()
    for row in rows:
        last = tuple(row[: len(key)])
        hits += [
            Hit(str(table.name), last, str(column.name))
            for column, value in zip(columns, row[len(key) :], strict=True)
            if value is not None and needles.are_in(_bytes(value))
        ]
    return Page(len(rows), hits, last if len(rows) == PAGE_ROWS else None)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    data = bytes(value)
    if data[:1] == b"\x78":  # zlib
        try:
            return data + zlib.decompressobj().decompress(data, LONGEST_INFLATED)
        except zlib.error:
            return data
    return data
