"""One level of an order (patient, visit, order, procedure, step): the value of each row of the mapping."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from gateway.errors import GatewayError, Place, RequiredMissing, together
from gateway.mapping.identifiers import DERIVATIONS, Known
from gateway.mapping.language.rows import Row
from gateway.mapping.language.trace import Trace
from gateway.mapping.language.values import fit
from gateway.mapping.orders.at_once import AtOnce, at_once, never
from gateway.mapping.orders.dialect import INDISPENSABLE
from gateway.mapping.orders.paths import is_there
from gateway.mapping.orders.places import place_of
from gateway.mapping.orders.row_values import CompiledRow, RowValue, default_of, derived_by, value_of
from gateway.mapping.orders.scope import MOST_KEYS, FieldPath, Scope, SegmentFields
from gateway.records.finding import Finding
from gateway.records.order import Attributes

REFUSES: Final = frozenset({"AccessionNumber", "PatientID", "IssuerOfPatientID"})
"""Attributes in whose place nothing else may stand: who is examined, and the number by which others know the exam."""
ASSIGNED: Final = frozenset({"AccessionNumber", "StudyInstanceUID"})
"""Attributes that a message may give in two places, IPC and OBR-18 or ZDS."""


LevelRead = tuple[Attributes, set[str]]
"""The attributes of one level, and which of them are ours because the message has none."""
SHAPES: Final = 512
"""Sets of stated fields whose plans are kept."""
_NOTHING: Final[RowValue] = ("", "", "")


class Everything:
    """Holds every attribute."""

    def __contains__(self, _keyword: object) -> bool:
        return True


@dataclass(slots=True)
class GroupRead:
    """What holds for all levels of one group, and what was wrong with them."""

    place: Place
    number: int
    describes: bool
    """Must the message say all that a worklist item needs? A cancel need not repeat what it cancels."""
    trace: list[Trace] | None
    findings: list[Finding]
    may_lack: Collection[str] | Everything = ()
    """Required attributes that the order may have already."""
    missing: dict[str, RequiredMissing] = field(default_factory=dict)
    """Those of them without a value."""
    refusals: list[GatewayError] = field(default_factory=list)
    """All that the message is refused for."""

    def refuse(self, error: GatewayError) -> RowValue:
        """Refuse the message for a value, which then there is none of."""
        self.refusals.append(error)
        return _NOTHING

    def check(self) -> None:
        """Raise the first refusal, with the others beside it."""
        if self.refusals:
            raise together(self.refusals)


_PlannedRow = tuple[str, AtOnce, bool, CompiledRow]
"""The target of a row, its reader for the simple case, whether it does something without a value; last the row itself,
with the paths that can give one."""


class Plan(NamedTuple):
    """How messages that state the same fields are read."""

    fields: Sequence[SegmentFields]
    """What the readers of the rows look at."""
    rows: Mapping[str, Sequence[_PlannedRow]]
    """By level."""


class Levels:
    """The rows of all levels, ready to be applied."""

    def __init__(self, rows: Mapping[str, Sequence[CompiledRow]]) -> None:
        self.rows = rows
        needs = chain.from_iterable(one.needs for of_level in rows.values() for one in of_level)
        self._looked_at = frozenset(["IPC"]).union(*filter(None, needs))
        self._plan = lru_cache(maxsize=SHAPES)(self._planned)

    def _planned(self, stated_keys: frozenset[str], is_traced: bool) -> Plan:
        """The plan for messages of these fields. Most messages of a sender have the same."""
        rows: dict[str, list[_PlannedRow]] = {}
        fields: list[FieldPath] = []
        for level, of_level in self.rows.items():
            rows[level] = []
            for one in of_level:
                compiled, target, is_always_read = one.within(stated_keys), one.row.target, _is_always_read(one.row)
                reader, field = at_once(compiled)
                if is_traced or ("IPC" in stated_keys and target in ASSIGNED):
                    reader = never
                if compiled.sources or is_always_read:
                    rows[level].append((target, reader, is_always_read, compiled))
                if field is not None:
                    fields.append(field)
        return Plan(SegmentFields.of(fields), rows)

    def read(self, name: str, scope: Scope, known: Known, context: GroupRead) -> LevelRead:
        """The attributes of one level, and which of them are ours because the message has none."""
        result: Attributes = {}
        ours: set[str] = set()
        keys = scope.stated_keys
        if len(keys) > MOST_KEYS:
            # A plan is kept with its keys: of very many, those that no row looks at would fill the memory.
            keys &= self._looked_at
        plan = self._plan(keys, context.trace is not None)
        scope.split_at_once(plan.fields)
        for target, reader, is_always_read, compiled in plan.rows[name]:
            value = reader(scope)
            if value:
                result[target] = value
            elif value is None or is_always_read:
                value, source, remark = self._from_the_beginning(compiled, scope, known, result, context)
                if value == "":
                    continue
                result[target] = value
                if source in compiled.ours:
                    ours.add(target)
                if remark or context.trace is not None:
                    _note(name, compiled, (value, source, remark), context)
        return result, ours

    def _from_the_beginning(
        self, compiled: CompiledRow, scope: Scope, known: Known, before: Attributes, context: GroupRead
    ) -> RowValue:
        """The value of a row of which nothing is known beforehand."""
        faults: list[GatewayError] = []
        found = value_of(compiled, scope, faults)
        is_settled = bool(found[0]) and not ("IPC" in scope.order and compiled.row.target in ASSIGNED)
        if not faults and (is_settled or (found[0] == "" and not _is_always_read(compiled.row))):
            return found
        return self._completed(compiled, scope, known, before, context, found, faults)

    def _completed(
        self,
        compiled: CompiledRow,
        scope: Scope,
        known: Known,
        before: Attributes,
        context: GroupRead,
        found: RowValue,
        faults: list[GatewayError],
    ) -> RowValue:
        """The value of a row that the message does not decide alone: what was found and is no fault, what is derived
        (also from `before`, the rows above), or the default.

        What cannot be done without is refused (`GroupRead.refusals`); all else that cannot be used is left out with
        a finding.
        """
        row = compiled.row
        for error in faults:
            error.place = _within(error.place, compiled, context)
        if not found[0]:
            if faults and row.target in REFUSES and context.describes:
                return context.refuse(faults[0])
            if row.otherwise and context.refusals:
                # What would be derived hangs on what is refused: its absence is no fault of its own.
                return _NOTHING
            found = _supplied(compiled, scope, known, before) or found
            if not found[0] and _is_needed(compiled, context):
                error = faults[0] if faults else _missing(compiled, scope, context)
                if row.target in INDISPENSABLE or row.target not in context.may_lack:
                    return context.refuse(error)
                context.missing[row.target] = RequiredMissing(error.message, place=error.place)
        for error in faults:
            context.findings.append(Finding(error.place, f"{row.target}: {error.message}; it is left out"))
        if row.target in ASSIGNED:
            context.findings.extend(_differing(compiled, scope, found))
        return _not_null(compiled, context) if found[0] is None and row.required else found


def _note(level: str, compiled: CompiledRow, found: RowValue, context: GroupRead) -> None:
    """Keep what was remarkable about a value, and where it came from."""
    value, source, remark = found
    target, origin = compiled.row.target, compiled.row.origin
    if remark and compiled.vr == "SQ":
        context.findings.append(Finding(_within(place_of(source), compiled, context), f"{target}: {remark}"))
    if context.trace is not None:
        shown = level if context.number == 1 or level == "patient" else f"{level}[{context.number}]"
        context.trace.append(Trace(shown, target, value, source, origin, remark))


def _not_null(compiled: CompiledRow, context: GroupRead) -> RowValue:
    """Nothing, with a finding, for the null of an attribute that must have a value."""
    text = f"{compiled.row.target} must have a value; the null is not applied"
    context.findings.append(Finding(_within(place_of(compiled.row.sources[0]), compiled, context), text))
    return _NOTHING


def _is_always_read(row: Row) -> bool:
    """Whether a row does something where none of its paths has a value."""
    return bool(row.default or row.otherwise or row.required) or row.target in INDISPENSABLE


def _supplied(compiled: CompiledRow, scope: Scope, known: Known, before: Attributes) -> RowValue | None:
    """The value that is derived for a row, else its default."""
    row = compiled.row
    if row.otherwise:
        known = replace(known, attributes=known.attributes | before)
        value, remark = fit(compiled.vr, DERIVATIONS[row.otherwise](known), too_long="reject")
        if value:
            return value, derived_by(row), remark
    return default_of(compiled, scope.settings) if row.default else None


def _is_needed(compiled: CompiledRow, context: GroupRead) -> bool:
    return compiled.row.target in INDISPENSABLE or (compiled.row.required and context.describes)


def _missing(compiled: CompiledRow, scope: Scope, context: GroupRead) -> RequiredMissing:
    """The error for a required value, at the first of its places whose segment the message has."""
    row = compiled.row
    places = [path for path in row.sources if not path.startswith(("site.", "source."))] or [row.target]
    first = next((path for path in places if is_there(path, scope)), places[0])
    text = f"{row.target} has no value; it is read from {' or '.join(places)}"
    return RequiredMissing(text, place=_within(place_of(first), compiled, context))


def _within(place: Place | str, compiled: CompiledRow, context: GroupRead) -> Place | str:
    """The place within its group, where the message has more than one."""
    of_all = compiled.row.level == "patient" and context.place.segment != "PID"
    if isinstance(place, str) or context.number == 1 or of_all:
        return place
    return replace(place, group=context.place.segment, group_number=context.number)


def _differing(compiled: CompiledRow, scope: Scope, found: RowValue) -> Iterator[Finding]:
    """A finding for each other place of what a message may give twice that gives another value than the one taken."""
    if "IPC" not in scope.order:
        return
    for path, read, _ in compiled.sources:
        raw = read(scope)
        if raw and path != found[1] and raw != found[0]:
            yield Finding(
                place_of(path), f"{compiled.row.target} {raw!r} differs from that of {found[1]}, which is taken"
            )
