"""Which attributes of an instance get another value, by the rows of `corrections.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from gateway.errors import GatewayError
from gateway.mapping.corrections.scope import CorrectionScope, split
from gateway.mapping.language.literals import literal_of
from gateway.mapping.language.rows import Codes, MappingFile, Row
from gateway.mapping.language.values import fit, vr_of
from gateway.records.correction import REASONS, Correction, CorrectionSet


class CorrectionMapping:
    """`corrections.yaml` at work."""

    def __init__(self, file: MappingFile) -> None:
        self._rows: Final = {level: tuple(_Row(row, file) for row in rows) for level, rows in file.rows.items()}
        self.keywords: Final = frozenset(
            keyword for rows in self._rows.values() for row in rows for keyword in row.keywords
        ) | {"PatientID"}
        """What must be known of an instance itself."""

    def corrections(self, scope: CorrectionScope, sets: Collection[CorrectionSet]) -> list[Correction]:
        """What of the instance is to be another value, by the rows of these levels."""
        return [
            Correction(row.target, value, REASONS[level])
            for level in REASONS
            if level in sets
            for row in self._rows[level]
            if (value := row.value(scope)) is not None and not _same(row.target, scope.own.get(row.target), value)
        ]


class _Row:
    """A row, ready to be applied."""

    def __init__(self, row: Row, file: MappingFile) -> None:
        self.target = row.target
        self.keywords = {row.target, *(path.split(".")[0] for path in row.sources if not split(path)[0])}
        self._row = row
        self._vr = vr_of(row.target)
        codes = file.codes(row)
        self._codes = None if codes is None else Codes(codes.table, codes.codes, "empty")

    def value(self, scope: CorrectionScope) -> Any:
        """The value at the first path that has a value that fits, else the default; None: no row gives any."""
        return next(self._values(scope), None)

    def _values(self, scope: CorrectionScope) -> Iterator[Any]:
        for path in self._row.sources:
            try:
                if value := self._fitted(scope.value(path)):
                    yield value
            except GatewayError:
                # Optional never refuses: the next path is asked.
                continue
        if self._row.default:
            values = literal_of(self.target, self._row.default)
            yield values[0] if len(values) == 1 else values

    def _fitted(self, value: Any) -> Any:
        if self._vr == "SQ":
            return value if isinstance(value, list) and all(isinstance(one, dict) for one in value) else None
        values = [self._text(str(one)) for one in (value if isinstance(value, list) else [value]) if one is not None]
        values = [one for one in values if one]
        return values[0] if len(values) == 1 else values

    def _text(self, text: str) -> str:
        """Raises `GatewayError` for a text that does not fit."""
        meant = text if self._codes is None else self._codes.translate(text) or ""
        return fit(self._vr, meant, too_long="reject")[0]


def _same(target: str, own: Any, value: Any) -> bool:
    if vr_of(target) == "PN":
        return _names(own) == _names(value)
    return bool(own == value)


def _names(value: Any) -> list[str]:
    """Without the delimiters that nothing follows (PS3.5 6.2.1.1)."""
    names = value if isinstance(value, list) else [str(value or "")]
    return ["=".join(group.rstrip("^ ") for group in str(one).split("=")).rstrip("=") for one in names]
