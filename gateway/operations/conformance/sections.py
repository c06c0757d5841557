"""A conformance statement as values: numbered sections, each with a text and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class StatementName(StrEnum):
    """What a conformance statement is about."""

    DICOM = "dicom"
    HL7 = "hl7"
    FHIR = "fhir"


@dataclass(frozen=True, slots=True)
class StatementTable:
    """A table; of a DICOM statement with the columns that PS3.2 Annex N gives it, as far as they apply."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class StatementSection:
    """A section, numbered; of a DICOM statement as in PS3.2 Annex N."""

    number: str
    title: str
    text: str = ""
    tables: tuple[StatementTable, ...] = ()

    @property
    def depth(self) -> int:
        """1 for the whole, 2 for its sections, 4 at most."""
        return min(self.number.count(".") + 1, 4)


@dataclass(frozen=True, slots=True)
class Statement:
    """A conformance statement. `sections`: the first is the whole, whose title is the statement's."""

    sections: tuple[StatementSection, ...]

    @property
    def title(self) -> str:
        return self.sections[0].title


def as_data(statement: Statement) -> dict[str, Any]:
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
            for section in statement.sections
        ]
    }
