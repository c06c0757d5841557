"""Rows, code tables and dialects of the mapping language, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import UnknownCode
from gateway.mapping.language.functions import Registry
from gateway.mapping.language.missing import note
from gateway.records.agreement import Rule

CHOICES: Final = {
    "unknown": ("reject", "keep", "empty"),
    "too_long": ("reject", "cut"),
    "required": ("true", "false"),
    "rule": tuple(rule.value for rule in Rule),
}

OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as written. `docs/mappings.md` explains each key."""

    level: str
    target: str
    origin: str
    """`file:line`."""
    sources: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    function: str = ""
    table: str = ""
    unknown: str = "reject"
    default: str = ""
    otherwise: str = ""
    required: bool = False
    too_long: str = "reject"
    note: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A code table: what a sender writes (upper case) -> what we write."""

    name: str
    origin: str
    codes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Codes:
    """A row's code table, and what the row does with a code that is not in it."""

    table: str
    codes: Mapping[str, str]
    unknown: str

    def translate(self, code: str) -> str | None:
        """What stands for `code`, '' if nothing is to; None for a code that the table lacks. Raises `UnknownCode` for
        that where the row does not say what to do."""
        meant = self.codes.get(code.strip().upper())
        if meant is None:
            note(self.table, code)
        if meant is None and self.unknown == "reject":
            raise UnknownCode(f"{code!r} is not in the table {self.table!r}")
        return meant


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a kind of mapping file may say: its levels, keys, paths, targets, functions."""

    name: str
    levels: tuple[str, ...]
    keys: tuple[str, ...]
    functions: Registry
    derivations: Mapping[str, Callable[..., Any]]
    indispensable: Mapping[str, str]
    """target -> level of rows that a site may change but not remove."""
    one_level: bool
    """Does a target belong to one level only?"""
    check_path: Callable[[str], str | None]
    """The fault of a source path, None if it has none."""
    check_target: Callable[[str, str], str | None]
    """The fault of a (level, target)."""
    check_row: Callable[[Row, Mapping[str, Table]], Iterable[str]]
    """Faults of a row whose keys are right by themselves."""
    short: str = "from"
    """The key that a row must have, and for which a value alone is short."""


@dataclass(frozen=True, slots=True, eq=False)
class MappingFile:
    """Rows by level, in the order in which they are applied. Compared by identity: what was made of one is
    remembered by it."""

    name: str
    rows: Mapping[str, tuple[Row, ...]]
    tables: Mapping[str, Table]

    def codes(self, row: Row) -> Codes | None:
        """The code table of `row`, if it names one."""
        return Codes(row.table, self.tables[row.table].codes, row.unknown) if row.table else None


def row_of(level: str, target: str, origin: str, written: Mapping[str, list[str]]) -> Row:
    def text(key: str, otherwise: str = "") -> str:
        return written.get(key, [otherwise])[0]

    return Row(
        level=level,
        target=target,
        origin=origin,
        sources=tuple(written.get("from", ())),
        companions=tuple(written.get("with", ())),
        function=text("as"),
        table=text("table"),
        unknown=text("unknown", "reject"),
        default=text("default"),
        otherwise=text("otherwise"),
        required=text("required") == "true",
        too_long=text("too_long", "reject"),
        note=text("note"),
        rule=text("rule"),
    )
