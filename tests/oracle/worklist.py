"""The worklist that a history comes to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.oracle.message import Arrival, Message
from tests.oracle.moments import in_order
from tests.oracle.orders import Orders
from tests.oracle.persons import Persons


class Item(NamedTuple):
    """A step that is shown. An id that no message states is empty, whatever the gateway gives out instead."""

    patient: str
    name: str
    accession: str
    procedure: str
    step: str
    start: str


def worklist(arrivals: Iterable[Arrival]) -> list[Item]:
    """What must be shown, whatever the order of arrival (docs/architecture.md, `scheduling`)."""
    messages = in_order(arrivals)
    persons = Persons.of(messages)
    return sorted(
        Item(persons.survivor(order.patient), persons.name(order.patient), order.accession, procedure, name, step.start)
        for order in Orders(messages, persons)
        for (procedure, name), step in order.steps.items()
        if step.is_shown
    )


def acknowledgements(arrivals: Sequence[Arrival]) -> list[frozenset[str]]:
    """What MSA-1 of each may be. A message that was right when it was stated is right whenever it comes.

    README names the appointments that are taken. An order of another patient is refused, or kept in case that the two
    turn out to be one (docs/architecture.md, failure matrix).
    """
    messages = in_order(arrivals)
    orders = Orders(messages, Persons.of(messages))

    def allowed(message: Message) -> frozenset[str]:
        if message.event in ("S16", "S17"):
            return frozenset({"AR"})
        is_right = all(orders.is_patient_s(message, group) for group in message.groups)
        return frozenset({"AA"}) if is_right else frozenset({"AA", "AE"})

    return [allowed(arrival.message) for arrival in arrivals]
