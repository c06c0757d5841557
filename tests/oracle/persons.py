"""Who is meant by a patient id, and what the person is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.oracle.message import Message

IDENTIFYING: Final = frozenset({"A40", "A47"})
"""3.3.40 merge patient, 3.3.47 change patient identifier list: MRG-1 names whom PID-3 names."""
ORDERING: Final = frozenset({"NW", "SN", "RO", "CH"})


@dataclass(slots=True)
class Persons:
    """Patient ids that mean one person, and each person's name."""

    survivors: dict[str, str] = field(default_factory=dict)
    names: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Persons:
        """From all messages in the order of their times.

        3.3.40: after the merge the prior identifier is the surviving person's, so whoever names it means that person,
        whenever the message comes (docs/architecture.md, `scheduling`).
        """
        persons = cls()
        for message in messages:
            if message.event in IDENTIFYING:
                persons.survivors[message.prior] = message.patient
        for place, message in enumerate(messages):
            person = persons.survivor(message.patient)
            named = (_weight(message), place, message.name)
            persons.names[person] = max(persons.names.get(person, named), named)
        return persons

    def survivor(self, patient: str) -> str:
        """The id under which a patient is shown: the end of the chain."""
        while patient in self.survivors:
            patient = self.survivors[patient]
        return patient

    def name(self, patient: str) -> str:
        return self.names[self.survivor(patient)][2]


def _weight(message: Message) -> int:
    """ADT before new orders, these before changes; of equal weight the newest counts (docs/operations.md)."""
    if message.type.startswith("ADT"):
        return 2
    return int(any(group.control in ORDERING for group in message.groups))
