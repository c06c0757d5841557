"""Which repetition of an identifier (CX) or a person (XCN) counts: by authority and type, never by its place alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import Place
from gateway.mapping.orders.scope import NULL, ReadableSegment, stated
from gateway.mapping.orders.scope import Repetition as Repetition
from gateway.mapping.orders.settings import Settings
from gateway.records.finding import Finding

VISIT_TYPES: Final = ("VN", "AN")
"""HL7 table 0203: visit number, account number."""
NAME_TYPES: Final = ("L", "D", "")
"""HL7 table 0200: legal name, display name; a name without a type."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """How a repetition of one field is chosen. Each rank: the smaller, the better."""

    content: Callable[[Repetition], str]
    """What tells repetitions apart; '' for an empty one or a null, which is skipped."""
    rank: Callable[[Repetition, Settings], tuple[int, int]]
    worst: Callable[[Settings], tuple[int, int]]
    """The rank of a repetition that is taken for its place alone, with a finding."""
    wanted: Callable[[Settings], str]


def with_preferred_repetitions(
    segment: ReadableSegment, settings: Settings, findings: list[Finding]
) -> ReadableSegment:
    """The segment with the repetition that counts in the first place of each field in `REPEATED`."""
    for field, choice in REPEATED[segment.name].items():
        if segment.is_repeated(field):
            segment = _with_preferred(segment, field, choice, settings, findings)
    return segment


def preferred_identifiers(repetitions: Sequence[Repetition], settings: Settings) -> list[Repetition]:
    """Of identifiers (MRG-1) those that count most: of the site's authority, else of the first of its types that is
    there, else all."""
    choice = REPEATED["PID"][3]
    ranked = [(choice.rank(one, settings), one) for one in repetitions if choice.content(one)]
    best = min((rank for rank, _ in ranked), default=None)
    return [one for rank, one in ranked if rank == best]


def _with_preferred(
    segment: ReadableSegment, field: int, choice: _Choice, settings: Settings, findings: list[Finding]
) -> ReadableSegment:
    repetitions = segment.repetitions(field)
    filled = [number for number, one in enumerate(repetitions) if choice.content(one)]
    ranks = {number: choice.rank(repetitions[number], settings) for number in filled}
    order = sorted(filled, key=ranks.__getitem__)
    if not order:
        return segment
    if ranks[order[0]] == choice.worst(settings) and len({choice.content(repetitions[one]) for one in order}) > 1:
        text = f"none of {len(order)} repetitions is {choice.wanted(settings)}; the first is taken"
        findings.append(Finding(Place(segment.name, field), text))
    return segment if order == list(range(len(repetitions))) else segment.reordered(field, order)


def _identifier(types_of: Callable[[Settings], Sequence[str]], issuer_of: Callable[[Settings], str]) -> _Choice:
    """CX: of the authority (CX.4), then by type (CX.5, HL7 table 0203)."""

    def rank(identifier: Repetition, settings: Settings) -> tuple[int, int]:
        return _is_foreign(identifier, 4, issuer_of(settings)), _place(_leaf(identifier, 5).upper(), types_of(settings))

    return _Choice(
        content=lambda identifier: _leaf(identifier, 1),
        rank=rank,
        worst=lambda settings: (1, len(types_of(settings))),
        wanted=lambda settings: _wanted(issuer_of(settings), f"of type {', '.join(types_of(settings))}"),
    )


def _person() -> _Choice:
    """XCN: of the site's authority (XCN.9), then by the type of the name (XCN.10, HL7 table 0200). An id without a name
    is no person to the worklist."""
    return _Choice(
        content=lambda person: f"{_leaf(person, 2)}^{_leaf(person, 3)}".strip("^"),
        rank=lambda person, settings: (
            _is_foreign(person, 9, settings.patient_id_issuer),
            _place(_leaf(person, 10).upper(), NAME_TYPES),
        ),
        worst=lambda _settings: (1, len(NAME_TYPES) - 1),
        wanted=lambda settings: _wanted(settings.patient_id_issuer, "a legal name"),
    )


def _is_foreign(repetition: Repetition, component: int, authority: str) -> int:
    """0 for the authority, by its namespace or universal id (HD.1, HD.2), else 1."""
    given = repetition[component - 1][:2] if len(repetition) >= component else []
    return 0 if authority and authority in map(stated, given) else 1


def _place(kind: str, kinds: Sequence[str]) -> int:
    return kinds.index(kind) if kind in kinds else len(kinds)


def _leaf(repetition: Repetition, component: int) -> str:
    leaf = repetition[component - 1][0] if len(repetition) >= component and repetition[component - 1] else ""
    return "" if leaf == NULL else stated(leaf)


def _wanted(authority: str, kind: str) -> str:
    return f"of authority {authority} or {kind}" if authority else kind


_PATIENT: Final = _identifier(lambda settings: settings.patient_id_types, lambda settings: settings.patient_id_issuer)
_VISIT: Final = _identifier(lambda _settings: VISIT_TYPES, lambda _settings: "")
_PERSON: Final = _person()
REPEATED: Final[dict[str, dict[int, _Choice]]] = {
    "PID": {3: _PATIENT, 18: _VISIT},
    "PV1": {7: _PERSON, 8: _PERSON, 17: _PERSON, 19: _VISIT},
    "ORC": {10: _PERSON, 12: _PERSON},
    "OBR": {16: _PERSON},
}
"""Segment -> field -> how its repetition is chosen. A row that wants every repetition names the field with `*`."""
