"""A column of an export: what it is made of and what is done with that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.operations.export.treatment import Retained, Treatment

Cleaned = str | int | None
Clean = Callable[[str], Cleaned]
"""From a text to what of it may leave; None: nothing."""


class ColumnType(StrEnum):
    TEXT = "text"
    WHOLE = "whole number"
    SECONDS = "seconds"
    MOMENT = "moment"
    """UTC, to the microsecond."""


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute of a row, written or left out."""

    name: str
    type: ColumnType
    treatment: Treatment
    source: str
    """Keyword of the DICOM attribute, or in words where none is meant."""
    clean: Clean | None = None
    """Of kept text: what of it may leave."""
    kind: str = ""
    """Of a pseudonym: what it stands for, where the name of the column does not tell."""
    retained_by: Retained | None = None
    """With this option the text is kept as it is."""

    def treatment_with(self, retained: frozenset[Retained]) -> Treatment:
        """What is done with the value when these options are chosen."""
        return Treatment.KEPT if self.retained_by in retained else self.treatment

    def is_written(self, retained: frozenset[Retained]) -> bool:
        """Whether the column is in the files."""
        return self.treatment_with(retained) is not Treatment.LEFT_OUT
