"""The mappings in force for people: every row, what the site changes, codes that no table had lately."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.mapping import Mappings
from gateway.mapping.language.rows import Row
from gateway.mapping.overlay import CodeChange, OverlayChanges, RowChange, overlay_changes

DROPS_UNKNOWN = (
    "our row goes on with a code that its table lacks (unknown: {}), the site's row refuses it: "
    "add the key, or leave the row out where only the table's lines differ"
)


@dataclass(frozen=True, slots=True)
class RowView:
    level: str
    target: str
    text: str
    """Where the value comes from and what is done with it."""
    origin: str
    """`file:line`; empty: the site has taken the row away."""
    change: RowChange | None
    """What the site changes."""
    before: str
    """Our row, in words, where the site has changed it."""
    remark: str


@dataclass(frozen=True, slots=True)
class FileView:
    name: str
    rows: list[RowView]


@dataclass(frozen=True, slots=True)
class MappingsView:
    files: list[FileView]
    changes: OverlayChanges

    @property
    def remarks(self) -> list[str]:
        """What of the overlay is worth a look."""
        return [f"{one.level} {one.target}: {remark_on(one)}" for one in self.changes.rows if remark_on(one)]


def mappings_view(mappings: Mappings) -> MappingsView:
    """All rows in force, file by file; rows that the site has taken away stand at the end of their file."""
    changes = overlay_changes(mappings)
    files = []
    for name, file in mappings.files.items():
        rows = [_view(row, changes.of(name, level, row.target)) for level, of in file.rows.items() for row in of]
        gone = [_gone(one) for one in changes.rows if one.file == name and one.site is None]
        files.append(FileView(name, rows + gone))
    return MappingsView(files, changes)


def _view(row: Row, change: RowChange | None) -> RowView:
    before = row_text(change.ours) if change is not None and change.ours is not None else ""
    remark = remark_on(change) if change is not None else ""
    return RowView(row.level, row.target, row_text(row), row.origin, change, before, remark)


def _gone(change: RowChange) -> RowView:
    return RowView(change.level, change.target, "off", "", change, row_text(change.ours) if change.ours else "", "")


def row_text(row: Row) -> str:
    """A row as it is written."""
    keys = {
        "rule": row.rule,
        "from": ", ".join(row.sources), "with": ", ".join(row.companions), "as": row.function, "table": row.table,
        "unknown": row.unknown if row.table else "", "default": row.default, "otherwise": row.otherwise,
        "required": "true" if row.required else "", "too_long": row.too_long if row.too_long != "reject" else "",
    }  # fmt: skip
    return "; ".join(f"{name}: {value}" for name, value in keys.items() if value)


def remark_on(change: RowChange) -> str:
    """What is worth a look in a row of the site; empty: nothing."""
    return DROPS_UNKNOWN.format(change.ours.unknown) if change.drops_unknown and change.ours else ""


def change_lines(changes: OverlayChanges) -> Iterator[str]:
    """A line for each row and code that the site changes."""
    for one in changes.rows:
        place = f"{one.file} {one.level} {one.target}"
        if one.site is None:
            yield f"{place}: off, instead of {row_text(one.ours) if one.ours else ''}"
        else:
            instead = f", instead of {row_text(one.ours)}" if one.ours else ", added"
            yield f"{place}: {row_text(one.site)} ({one.site.origin}){instead}"
    yield from (code_line(one) for one in changes.codes)
    if changes.scanners:
        yield f"scanners.yaml: {changes.scanners} rules"


def code_line(change: CodeChange) -> str:
    """A code that the site changes, on a line."""
    instead = "added" if change.ours is None else f"instead of {change.ours or '(nothing)'}"
    return f"table {change.table}: {change.code} -> {change.site or '(nothing)'}, {instead}"
