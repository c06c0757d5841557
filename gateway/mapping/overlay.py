"""What the overlay of a site changes: rows and codes of ours that it replaces, adds or takes away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.mapping import Mappings, ours
from gateway.mapping.language.rows import MappingFile, Row


@dataclass(frozen=True, slots=True)
class RowChange:
    file: str
    level: str
    target: str
    ours: Row | None
    """None: the site adds the row."""
    site: Row | None
    """None: the site takes the row away."""

    @property
    def drops_unknown(self) -> bool:
        """Whether a code that the table lacks is refused now, where our row goes on."""
        if self.ours is None or self.site is None:
            return False
        return bool(self.site.table) and self.ours.unknown != "reject" and self.site.unknown == "reject"


@dataclass(frozen=True, slots=True)
class CodeChange:
    table: str
    code: str
    ours: str | None
    """None: the site adds the code."""
    site: str
    """Empty: nothing is written for the code."""


@dataclass(frozen=True, slots=True)
class OverlayChanges:
    rows: list[RowChange]
    codes: list[CodeChange]
    scanners: int
    """Rules for single scanners, which are all a site's."""

    def of(self, file: str, level: str, target: str) -> RowChange | None:
        """What the site changes in one row."""
        return next((one for one in self.rows if (one.file, one.level, one.target) == (file, level, target)), None)


def overlay_changes(mappings: Mappings) -> OverlayChanges:
    """All that the overlay in force changes, in the order of the files."""
    shipped = ours()
    rows = [change for name, file in mappings.files.items() for change in _rows(name, shipped[name], file)]
    tables = [(name, file) for name, file in mappings.files.items()][:1]
    codes = [change for name, file in tables for change in _codes(shipped[name], file)]
    return OverlayChanges(rows, codes, len(mappings.scanners))


def _rows(name: str, before: MappingFile, after: MappingFile) -> Iterator[RowChange]:
    for level, rows in after.rows.items():
        of_ours = {row.target: row for row in before.rows.get(level, ())}
        for row in rows:
            mine = of_ours.pop(row.target, None)
            if row != mine:
                yield RowChange(name, level, row.target, mine, row)
        for target, mine in of_ours.items():
            yield RowChange(name, level, target, mine, None)


def _codes(before: MappingFile, after: MappingFile) -> Iterator[CodeChange]:
    """All files have the same tables."""
    for name, table in after.tables.items():
        codes = before.tables[name].codes if name in before.tables else {}
        for code, meant in table.codes.items():
            if codes.get(code) != meant:
                yield CodeChange(name, code, codes.get(code), meant)
