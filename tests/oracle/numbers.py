"""Which order a message speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.oracle.message import Group

Number = tuple[str, str]


@dataclass(slots=True)
class Numbers:
    """Placer, filler and accession numbers and Study Instance UIDs; those that are stated together are of one order."""

    _leads_to: dict[Number, Number] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: Iterable[Group]) -> Numbers:
        """4.5.1.2, 4.5.1.3: a number identifies its order for good, so it does not matter in which message, or when,
        two numbers are stated together."""
        numbers = cls()
        for group in groups:
            numbers._join(group.numbers)
            numbers._join(group.parent)
        return numbers

    def order(self, numbers: Sequence[Number]) -> Number:
        """The order that has these numbers; any of its numbers, always the same."""
        number = numbers[0]
        while number in self._leads_to:
            number = self._leads_to[number]
        return number

    def _join(self, numbers: Sequence[Number]) -> None:
        for one in numbers[1:]:
            first, other = self.order(numbers), self.order([one])
            if first != other:
                self._leads_to[other] = first
