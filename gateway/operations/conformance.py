"""The DICOM conformance statement, in short: sections and tables of PS3.2 Annex N, as Markdown or as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StatementTable:
    """A table with the columns that PS3.2 Annex N gives it, as far as they apply."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class StatementSection:
    """A section, numbered as in PS3.2 Annex N."""

    number: str
    title: str
    text: str = ""
    tables: tuple[StatementTable, ...] = ()


def as_data(sections: Sequence[StatementSection]) -> dict[str, Any]:
    """The statement as plain JSON data; a row is an object by its columns."""
    return {
        "sections": [
            {
                **asdict(section),
                "tables": [
                    {"title": table.title, "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows]}
                    for table in section.tables
                ],
            }
            for section in sections
        ]
    }


def markdown(sections: Sequence[StatementSection]) -> str:
    """The statement as a page."""
    return "\n".join(line for section in sections for line in _lines(section)).rstrip() + "\n"


def _lines(section: StatementSection) -> Iterator[str]:
    level = "#" * min(section.number.count(".") + 1, 4)
    yield f"{level} {section.number} {section.title}".replace("  ", " ")
    yield ""
    if section.text:
        yield section.text
        yield ""
    for table in section.tables:
        yield f"**{table.title}**"
        yield ""
        yield f"| {' | '.join(table.columns)} |"
        yield f"|{'---|' * len(table.columns)}"
        yield from (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table.rows)
        yield ""
