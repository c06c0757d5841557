"""Which repetition of an identifier field (CX) counts: by its authority and type, never by its place alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.errors import Place
from gateway.mapping.orders.paths import NULL, Segment, Settings, stated
from gateway.mapping.orders.paths import Repetition as Identifier
from gateway.records.finding import Finding

VISIT_TYPES: Final = ("VN", "AN")
"""HL7 table 0203: visit number, account number."""


def with_preferred_identifiers(segment: Segment, settings: Settings, findings: list[Finding]) -> Segment:
    """A PID or PV1 whose identifier fields have the repetition that counts in the first place."""
    for field, authority, types in _fields(segment.name, settings):
        segment = _with_preferred(segment, field, authority, types, findings)
    return segment


def preferred_identifiers(repetitions: Sequence[Identifier], settings: Settings) -> list[Identifier]:
    """Of identifiers (MRG-1) those that count most: of the site's authority, else of the first of its types that is
    there, else all."""
    ranked = [
        (_rank(one, settings.patient_id_issuer, settings.patient_id_types), one) for one in repetitions if _id(one)
    ]
    best = min((rank for rank, _ in ranked), default=None)
    return [one for rank, one in ranked if rank == best]


def _with_preferred(
    segment: Segment, field: int, authority: str, types: Sequence[str], findings: list[Finding]
) -> Segment:
    repetitions = segment.repetitions(field)
    if len(repetitions) < 2:
        return segment
    filled = [number for number, one in enumerate(repetitions) if _id(one)]
    ranks = {number: _rank(repetitions[number], authority, types) for number in filled}
    order = sorted(filled, key=lambda number: ranks[number])
    if order and ranks[order[0]] == (1, len(types)) and len(order) > 1:
        wanted = " or ".join(
            filter(None, (f"of authority {authority}" if authority else "", f"of type {', '.join(types)}"))
        )
        text = f"none of {len(order)} identifiers is {wanted}; the first is taken"
        findings.append(Finding(Place(segment.name, field), text))
    return segment if order == list(range(len(repetitions))) or not order else segment.reordered(field, order)


def _rank(identifier: Identifier, authority: str, types: Sequence[str]) -> tuple[int, int]:
    """(0 for the site's authority, place of the type among those preferred); the smaller, the better."""
    issuers = identifier[3] if len(identifier) > 3 else []
    kind = stated(identifier[4][0]).upper() if len(identifier) > 4 else ""
    is_ours = bool(authority) and authority in map(stated, issuers[:2])
    return (0 if is_ours else 1), (types.index(kind) if kind in types else len(types))


def _id(identifier: Identifier) -> str:
    value = identifier[0][0] if identifier and identifier[0] else ""
    return "" if value == NULL else stated(value)


def _fields(name: str, settings: Settings) -> Sequence[tuple[int, str, Sequence[str]]]:
    """The identifier fields of a segment, with the authority and the types that count."""
    if name == "PID":
        return (3, settings.patient_id_issuer, settings.patient_id_types), (18, "", VISIT_TYPES)
    return ((19, "", VISIT_TYPES),)
