"""Components of an HL7 repetition."""

from __future__ import annotations

from gateway.mapping.orders.scope import Repetition


def leaf(repetition: Repetition, component: int, subcomponent: int = 1) -> str:
    """Component `component` (1-based) of a repetition, '' when it is not there."""
    if component > len(repetition) or subcomponent > len(repetition[component - 1]):
        return ""
    return repetition[component - 1][subcomponent - 1].strip()


def leaves(repetition: Repetition, first: int, count: int) -> list[str]:
    """Components `first` (1-based) to `first + count - 1`, '' for each that is not there."""
    found = [one[0].strip() if one else "" for one in repetition[first - 1 : first - 1 + count]]
    return found if len(found) == count else found + [""] * (count - len(found))
