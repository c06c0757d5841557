"""What is known of a patient to whom other identities lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.records.order import Attributes
from gateway.records.patient import IDENTITY, Stamps, stamp_of


@dataclass(frozen=True, slots=True)
class Absorbed:
    """An identity that has ended, with what is known under it."""

    attributes: Attributes
    stamps: Stamps
    merged_at: int
    """When it ended (EVN-2 of the A40 or A47); microseconds."""


def composed(attributes: Attributes, stamps: Stamps, others: Iterable[Absorbed]) -> tuple[Attributes, Stamps]:
    """What is known of a survivor: their own, and of the identities that ended what the survivor lacks.

    What was stated of either after the merge was stated of one patient: there the weightiest word counts, among equals
    the newest, as it would had the merge come first. In whatever order merges and statements come, the result is the
    same.
    """
    known, stamped = dict(attributes), dict(stamps)
    for other in sorted(others, key=lambda one: one.merged_at):
        for keyword in other.attributes.keys() | other.stamps.keys() - {""}:
            theirs = stamp_of(other.stamps, keyword, keyword in other.attributes) or [0, 0]
            mine = stamp_of(stamped, keyword, keyword in known)
            is_later = max(theirs[1], mine[1] if mine else 0) > other.merged_at
            if keyword in IDENTITY or (mine is not None and not (is_later and theirs > mine)):
                continue
            if keyword in other.attributes:
                known[keyword] = other.attributes[keyword]
                stamped[keyword] = theirs
            elif is_later:
                known.pop(keyword, None)
                stamped[keyword] = theirs
    return known, stamped
