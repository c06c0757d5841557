"""The fields of a status, by the rows of `step_to_status.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Final

from gateway.errors import GatewayError, Place, RequiredMissing
from gateway.mapping.language.rows import Codes, MappingFile, Row
from gateway.mapping.orders.scope import Value
from gateway.mapping.status.dialect import field_of_target, holds_for
from gateway.mapping.status.functions import FUNCTIONS, Form, field_of
from gateway.mapping.status.scope import Look, StatusScope, compiled
from gateway.mapping.status.shapes import FIRST_VERSION, PATIENT, SHAPES, MessageShape
from gateway.records.finding import Finding

Fields = Mapping[int, Value]
"""Field number -> [repetition][component][subcomponent], without escapes."""


@dataclass(frozen=True, slots=True)
class StatusFields:
    """The segments of a status without MSH, in the order of its structure, and what could not be taken over."""

    segments: tuple[tuple[str, Fields], ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    """A row, ready to be applied."""

    row: Row
    number: int
    sources: tuple[tuple[str, Look], ...]
    companions: tuple[Look, ...]
    form: Form
    codes: Codes | None

    @classmethod
    def of(cls, row: Row, codes: Codes | None) -> _Field:
        return cls(
            row,
            field_of_target(row.target),
            tuple((path, compiled(path)) for path in row.sources),
            tuple(map(compiled, row.companions)),
            FUNCTIONS[row.function or "text"].function,
            codes,
        )

    def value(self, scope: StatusScope, zone: tzinfo, findings: list[Finding]) -> Value:
        """The field at the first path that has a value that can be used; [] where none has."""
        for path, look in self.sources:
            found = look(scope)
            if not found:
                continue
            try:
                value = found.field or self.form(found.value, [one(scope).value for one in self.companions], zone)
                if value and self.codes is not None:
                    value = self._translated(value[0][0][0], self.codes)
                if value:
                    return value
            except GatewayError as error:
                findings.append(Finding(path, error.message))
        return []

    @staticmethod
    def _translated(code: str, codes: Codes) -> Value:
        """Raises `UnknownCode` where the row does not say what to do."""
        meant = codes.translate(code)
        return field_of(code if meant is None and codes.unknown == "keep" else meant or "")

    @property
    def default(self) -> Value:
        return field_of(*self.row.default.split("^")) if self.row.default else []


class StatusMapping:
    """`step_to_status.yaml` at work. `zone`: of all times that are written."""

    def __init__(self, file: MappingFile, zone: tzinfo) -> None:
        self._zone: Final = zone
        self._rows: Final = {
            level: {row.target: _Field.of(row, file.codes(row)) for row in rows} for level, rows in file.rows.items()
        }

    def build(self, kind: str, version: tuple[int, ...], procedures: Sequence[Sequence[StatusScope]]) -> StatusFields:
        """A status of the type `kind` (MSH-9.1 and .2). `procedures`: the scheduled steps of each Requested Procedure.

        Raises `RequiredMissing` for a required field without a value.
        """
        shape = SHAPES[kind]
        groups = procedures if shape.of_steps else [[step] for steps in procedures for step in steps]
        of_patient = [(name, groups[0][0]) for name in (*shape.lead, *PATIENT)]
        making = _Making(self._rows, self._zone, kind[:3], version, shape.required)
        segments = [
            (name, fields)
            for name, scope in (*of_patient, *_of_groups(shape, groups))
            if (fields := making.segment(name, scope))
        ]
        return StatusFields(tuple(segments), tuple(dict.fromkeys(making.findings)))


@dataclass(slots=True)
class _Making:
    """One message in the making."""

    rows: Mapping[str, Mapping[str, _Field]]
    zone: tzinfo
    type: str
    """MSH-9.1."""
    version: tuple[int, ...]
    required: frozenset[str]
    findings: list[Finding] = field(default_factory=list)

    def segment(self, name: str, scope: StatusScope) -> dict[int, Value]:
        """The fields of a segment; none of one that the version lacks, nor where it could hold defaults of the mapping
        alone. Raises `RequiredMissing`."""
        if not self._has(name):
            return {}
        fields: dict[int, Value] = {}
        is_required, is_stated = name in self.required, False
        for row in self._of_type(name):
            value = row.value(scope, self.zone, self.findings)
            is_stated = is_stated or bool(value)
            value = value or row.default
            if not value and row.row.required and is_required:
                raise RequiredMissing("has no value, and a status cannot go without it", place=Place(name, row.number))
            if value:
                fields[row.number] = value
        return fields if is_stated or is_required else {}

    def _of_type(self, name: str) -> Iterator[_Field]:
        """The rows of a segment that hold for the type of message: its own in place of those for all."""
        rows = self.rows[name]
        for target, row in rows.items():
            if holds_for(target, rows, self.type) and self._has(f"{name}-{row.number}"):
                yield row

    def _has(self, place: str) -> bool:
        return self.version >= FIRST_VERSION.get(place, ())


def _of_groups(shape: MessageShape, groups: Iterable[Sequence[StatusScope]]) -> Iterator[tuple[str, StatusScope]]:
    for number, steps in enumerate(groups, 1):
        scopes = [replace(one, facts={**one.facts, "status.number": str(number)}) for one in steps]
        for name in shape.group:
            yield name, scopes[0]
        for name in shape.of_steps:
            for scope in scopes:
                yield name, scope
