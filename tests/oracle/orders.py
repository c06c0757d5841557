"""Orders with their procedures and steps, as the messages in the order of their times make them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.oracle.message import Group, Message
from tests.oracle.numbers import Number, Numbers
from tests.oracle.persons import Persons
from tests.oracle.step import Step

StepKey = tuple[str, str]
"""Requested Procedure ID and Scheduled Procedure Step ID; empty where no message states any."""
ENDING: Final = frozenset({"CA", "OC", "DC", "OD", "RP", "RU", "RQ"})
STATUS_EFFECTS: Final[dict[str, Callable[[Step], None]]] = {
    "CM": Step.complete, "CA": Step.end, "DC": Step.end, "HD": Step.hold,
}  # fmt: skip
"""ORC-5 (table 0038) weighs more than the verb of a status or change (`mappings/tables/order_control.csv`)."""
EFFECTS: Final[dict[str, Callable[[Step], None]]] = {
    **dict.fromkeys(ENDING, Step.end),
    **dict.fromkeys(("HD", "OH"), Step.hold),
    **dict.fromkeys(("RL", "OE"), Step.release),
}
BOOKING: Final = frozenset({"S12", "S13", "S14"})
UNBOOKING: Final = frozenset({"S15", "S26"})


@dataclass(slots=True)
class Order:
    """One order. `patient` is any id of its patient."""

    patient: str
    accession: str
    procedures: frozenset[str]
    """Ids that any message states."""
    step_names: dict[str, frozenset[str]]
    """Procedure -> ids of its steps that any message states."""
    steps: dict[StepKey, Step] = field(default_factory=dict)
    children: set[Number] = field(default_factory=set)

    def key(self, group: Group) -> StepKey:
        """What a group orders. An id that is not stated says nothing (2.5.3): where they state one
        procedure, it is meant."""
        procedure = group.procedure or _only(self.procedures)
        return procedure, group.step or _only(self.step_names.get(procedure, frozenset()))

    def meant(self, group: Group) -> list[Step]:
        """What a group speaks of that changes no order: all that fits the ids it states."""
        return [
            step
            for (procedure, name), step in self.steps.items()
            if group.procedure in ("", procedure) and group.step in ("", name)
        ]


def _only(names: frozenset[str]) -> str:
    return next(iter(names)) if len(names) == 1 else ""


class Orders:
    """All orders of a history."""

    def __init__(self, messages: Sequence[Message], persons: Persons) -> None:
        groups = [group for message in messages for group in message.groups]
        self._numbers = Numbers.of(groups)
        self._persons = persons
        self._orders: dict[Number, Order] = {}
        for message in messages:
            for group in message.groups:
                number = self._numbers.order(group.numbers)
                if number not in self._orders:
                    self._orders[number] = self._named(number, message.patient, groups)
        for message in messages:
            self._apply(message)

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders.values())

    def _named(self, number: Number, patient: str, groups: Sequence[Group]) -> Order:
        mine = [group for group in groups if self._numbers.order(group.numbers) == number]
        procedures = frozenset(group.procedure for group in mine if group.procedure)
        steps: dict[str, set[str]] = defaultdict(set)
        for group in mine:
            if group.step:
                steps[group.procedure or _only(procedures)].add(group.step)
        accession = _only(frozenset(group.accession for group in mine if group.accession))
        return Order(patient, accession, procedures, {name: frozenset(ids) for name, ids in steps.items()})

    def _apply(self, message: Message) -> None:
        for group in message.groups:
            order = self._orders[self._numbers.order(group.numbers)]
            if not self.is_patient_s(message, group):
                continue
            if message.type.startswith("SIU"):
                _appoint(order, message.event, group)
            else:
                self._control(order, group)
        for group in message.groups:
            if group.control in ("XO", "XX") and group.status not in STATUS_EFFECTS:
                self._leave_out(group, message)

    def is_patient_s(self, message: Message, group: Group) -> bool:
        """Whether the order is the patient's whom the message names. No other's message moves it (failure matrix)."""
        patient = self._orders[self._numbers.order(group.numbers)].patient
        return self._persons.survivor(message.patient) == self._persons.survivor(patient)

    def _control(self, order: Order, group: Group) -> None:
        effect = EFFECTS.get(group.control)
        if group.control in ("NW", "XO", "XX", "SC"):
            effect = STATUS_EFFECTS.get(group.status)
        if effect is not None:
            self._do(order, group, effect)
        elif group.control in ("NW", "SN", "RO", "CH", "XO", "XX"):
            order.steps.setdefault(order.key(group), Step(group.start)).order(group.start)
            self._relate(group)

    def _do(self, order: Order, group: Group, effect: Callable[[Step], None]) -> None:
        """What is done to a parent is done to the children that it has (docs/architecture.md, `scheduling`)."""
        for step in order.meant(group):
            effect(step)
        for child in order.children:
            self._do(self._orders[child], Group(), effect)

    def _relate(self, group: Group) -> None:
        """4.5.1.8: ORC-8 names the parent of a child (CH), and what a replacement (RO) replaces."""
        if not group.parent or (number := self._numbers.order(group.parent)) not in self._orders:
            return
        if group.control == "CH":
            self._orders[number].children.add(self._numbers.order(group.numbers))
        elif group.control == "RO":
            self._do(self._orders[number], Group(), Step.end)

    def _leave_out(self, group: Group, message: Message) -> None:
        """A change lists all steps of its procedure and cancels those that it leaves out (docs/mappings.md; RAD-13)."""
        number = self._numbers.order(group.numbers)
        order = self._orders[number]
        listed = {order.key(one) for one in message.groups if self._numbers.order(one.numbers) == number}
        for (procedure, name), step in order.steps.items():
            if procedure == order.key(group)[0] and (procedure, name) not in listed:
                step.end()


def _appoint(order: Order, event: str, group: Group) -> None:
    for step in order.steps.values():
        if event in BOOKING:
            step.book(group.start)
        elif event in UNBOOKING:
            step.unbook()
