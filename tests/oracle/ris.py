"""A RIS that only states what is possible when it states it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from tests.oracle.act import Act, Deed, Feature
from tests.oracle.message import Group, Message

MOST_ORDERS: Final = 4
STARTS: Final = ("203011240930", "203011251015", "203011260800")
APPOINTED: Final = ("203012010700", "203012020745")


@dataclass(slots=True)
class Person:
    ids: list[str]
    """The present one first."""
    name: str


@dataclass(slots=True)
class Placed:
    """An order as the RIS knows it."""

    number: int
    person: Person
    steps: dict[str, list[str]]
    """Procedure -> steps."""
    bare: bool = False
    """Its one procedure and its one step are sometimes named and sometimes not."""
    has_study: bool = False
    """Its one procedure has a Study Instance UID."""
    stated: dict[str, str] = field(default_factory=dict)
    """Numbers that are known of it."""
    named: set[str] = field(default_factory=set)
    has_children: bool = False
    is_parent_only: bool = False
    ended: bool = False
    held: bool = False
    replaced: bool = False

    @property
    def all_numbers(self) -> dict[str, str]:
        numbers = {kind: f"{kind[0].upper()}{self.number}" for kind in ("placer", "filler", "accession")}
        return numbers | ({"study": str(self.number)} if self.has_study else {})


class Ris:
    """Turns acts into messages; an act that is not possible gives none."""

    def __init__(self, features: frozenset[Feature]) -> None:
        self._features = features
        self._persons: list[Person] = []
        self._orders: list[Placed] = []
        self._names = 0
        self._ids = 0

    def message(self, act: Act, at: datetime) -> Message | None:
        return _DEEDS[act.deed](self, act, at)

    # --- who and which ---

    def _name(self) -> str:
        self._names += 1
        return f"N{self._names}"

    def _new_id(self) -> str:
        self._ids += 1
        return f"I{self._ids}"

    def _person(self, number: int) -> Person:
        if number % 3 >= len(self._persons):
            self._persons.append(Person([self._new_id()], ""))
        return self._persons[number % 3 % len(self._persons)]

    def _order(self, act: Act) -> Placed | None:
        orders = [order for order in self._orders if not order.replaced]
        return orders[act.order % len(orders)] if orders else None

    def _group(self, order: Placed, act: Act, control: str, procedure: str = "", step: str = "") -> Group:
        """A group that states some of the numbers, at least one of which is known of the order."""
        numbers = order.all_numbers
        if Feature.SPLIT_NUMBERS in self._features and act.numbers % 16:
            some = {kind: one for bit, (kind, one) in enumerate(numbers.items()) if act.numbers % 16 >> bit & 1}
            numbers = some if (some.keys() & order.stated.keys() or not order.stated) else numbers
            if numbers.keys() == {"study"} or not (order.stated or numbers.keys() & {"placer", "filler"}):
                numbers = order.all_numbers
        order.stated |= numbers
        return Group(control, procedure=procedure, step=step, **numbers)

    def _creating(self, order: Placed, act: Act, control: str, steps: dict[str, list[str]]) -> tuple[Group, ...]:
        start = STARTS[act.what % len(STARTS)]
        if order.bare:
            [(procedure, [step])] = steps.items()
            named = {"procedure": procedure} if act.what & 1 else {}
            named |= {"step": step} if act.what & 2 else {}
            order.named |= named.keys()
            return (replace(self._group(order, act, control, **named), start=start),)
        return tuple(
            replace(self._group(order, act, control, procedure, step), start=start)
            for procedure, names in steps.items()
            for step in names
        )

    def _new(self, person: Person, act: Act) -> Placed:
        number = len(self._orders) + 1
        forms = [[("R", "S")], [("R", "ST")], [("R", "S"), ("Q", "U")]]
        bare = Feature.MIXED_IDS in self._features and act.what % 2 == 0
        form = forms[0] if bare else forms[act.what % 3]
        order = Placed(number, person, {f"{p}{number}": [f"{s}{number}" for s in steps] for p, steps in form}, bare)
        order.has_study = Feature.STUDY_UIDS in self._features and len(form) == 1
        self._orders.append(order)
        return order

    def _orm(self, order: Placed, act: Act, at: datetime, *groups: Group, creates: bool = False) -> Message:
        ids, name = order.person.ids, self._name()
        if creates and not order.person.name.startswith("A"):
            order.person.name = name
        return Message("ORM^O01", at, ids[act.patient % len(ids)], name, groups=groups)

    # --- deeds ---

    def _place(self, act: Act, at: datetime) -> Message | None:
        if len(self._orders) >= MOST_ORDERS:
            return None
        person = self._person(act.order)
        orders = [
            self._new(person, act) for _ in range(2 if act.what % 7 == 6 and len(self._orders) < MOST_ORDERS - 1 else 1)
        ]
        groups = [group for order in orders for group in self._creating(order, act, "NW", order.steps)]
        return self._orm(orders[0], act, at, *groups, creates=True)

    def _again(self, act: Act, at: datetime) -> Message | None:
        order = self._changeable(act)
        if order is None:
            return None
        order.ended = False
        return self._orm(order, act, at, *self._creating(order, act, "NW", _some(order.steps, act.what)), creates=True)

    def _change(self, act: Act, at: datetime) -> Message | None:
        order = self._changeable(act)
        if order is None:
            return None
        procedure, steps = list(order.steps.items())[act.what % len(order.steps)]
        if act.what % 5 == 4 and not (order.bare or order.held or len(steps) > 2):
            steps.append(f"W{order.number}" if steps[0][0] == "S" else f"Y{order.number}")
        order.ended = False
        return self._orm(order, act, at, *self._creating(order, act, "XO", _some({procedure: steps}, act.what)))

    def _changeable(self, act: Act) -> Placed | None:
        order = self._order(act)
        return None if order is None or order.has_children or order.is_parent_only else order

    def _part(self, order: Placed, what: int) -> dict[str, str]:
        """One procedure or step of an order, or all of it."""
        if not what % 2 or not order.steps or order.bare or order.has_children:
            return {}
        procedure = list(order.steps)[what // 2 % len(order.steps)]
        return {"procedure": procedure} | ({"step": order.steps[procedure][0]} if what % 4 == 3 else {})

    def _end(self, act: Act, at: datetime) -> Message | None:
        order = self._order(act)
        if order is None:
            return None
        order.ended = True
        control, part = ("CA", "DC", "OC")[act.what % 3], self._part(order, act.what)
        return self._orm(order, act, at, self._group(order, act, control, **part))

    def _hold(self, act: Act, at: datetime) -> Message | None:
        order = self._order(act)
        if order is None:
            return None
        order.held = True
        return self._orm(order, act, at, self._group(order, act, "HD", **self._part(order, act.what)))

    def _release(self, act: Act, at: datetime) -> Message | None:
        order = self._order(act)
        return (
            None
            if order is None
            else self._orm(order, act, at, self._group(order, act, "RL", **self._part(order, act.what)))
        )

    def _status(self, act: Act, at: datetime) -> Message | None:
        order = self._changeable(act)
        if order is None:
            return None
        status = ("SC", "IP", "CM", "CA", "DC", "HD")[act.what % 6]
        order.held |= status in ("HD", "CM")
        control = "XO" if act.what > 7 else "SC"
        return self._orm(order, act, at, replace(self._group(order, act, control), status=status))

    def _replace(self, act: Act, at: datetime) -> Message | None:
        old = self._order(act)
        if old is None or old.has_children or old.is_parent_only or len(self._orders) >= MOST_ORDERS:
            return None
        by_parent = act.what % 3 != 2
        parent = _parent(old) if by_parent else {}
        if by_parent and not parent:
            return None
        ended = () if act.what % 3 == 1 else (self._group(old, act, "RP"),)
        new = self._new(old.person, act)
        created = (replace(group, **parent) for group in self._creating(new, act, "RO", new.steps))
        old.replaced = True
        return self._orm(new, act, at, *ended, *created, creates=True)

    def _spawn(self, act: Act, at: datetime) -> Message | None:
        if len(self._orders) >= MOST_ORDERS:
            return None
        parent = self._order(act) if act.what % 2 else None
        if parent is not None and (parent.ended or parent.held or parent.is_parent_only):
            return None
        silent = parent is not None and act.what % 4 == 3
        if parent is None:
            parent = self._new(self._person(act.order), act)
            parent.steps, parent.is_parent_only = {}, True
        groups = [] if silent else [self._group(parent, act, "PA")]
        if not (named := _parent(parent)):
            return None
        parent.has_children = True
        child = self._new(parent.person, act)
        groups += [replace(one, **named) for one in self._creating(child, act, "CH", child.steps)]
        return self._orm(child, act, at, *groups, creates=True)

    def _rename(self, act: Act, at: datetime) -> Message | None:
        if not self._persons:
            return None
        person = self._persons[act.order % len(self._persons)]
        person.name = f"A{self._name()}"
        trigger = ("A08", "A31", "A04", "A01")[act.what % 4]
        return Message(f"ADT^{trigger}", at, person.ids[act.patient % len(person.ids)], person.name)

    def _merge(self, act: Act, at: datetime) -> Message | None:
        if len(self._persons) < 2:
            return None
        prior = self._persons.pop(act.order % len(self._persons))
        survivor = self._persons[act.what % len(self._persons)]
        message = Message("ADT^A40", at, survivor.ids[0], f"A{self._name()}", prior.ids[0])
        survivor.ids += prior.ids
        survivor.name = message.name
        for order in self._orders:
            if order.person is prior:
                order.person = survivor
        return message

    def _identify(self, act: Act, at: datetime) -> Message | None:
        if not self._persons:
            return None
        person = self._persons[act.order % len(self._persons)]
        person.ids.insert(0, self._new_id())
        person.name = f"A{self._name()}"
        return Message("ADT^A47", at, person.ids[0], person.name, person.ids[1])

    def _book(self, act: Act, at: datetime) -> Message | None:
        return self._siu(act, at, ("S12", "S13", "S14")[act.what % 3], APPOINTED[act.what // 3 % 2])

    def _unbook(self, act: Act, at: datetime) -> Message | None:
        return self._siu(act, at, ("S15", "S26", "S15", "S26", "S16", "S17")[act.what % 6], APPOINTED[0])

    def _confuse(self, act: Act, at: datetime) -> Message | None:
        """Somebody else's cancel or hold, with a number of this order."""
        order = self._order(act)
        if order is None or not order.stated:
            return None
        self._ids += 1
        group = Group(("CA", "HD", "DC")[act.what % 3], **order.stated)
        return Message("ORM^O01", at, f"X{self._ids}", self._name(), groups=(group,))

    def _siu(self, act: Act, at: datetime, event: str, start: str) -> Message | None:
        """The appointment for all steps of an order, whose numbers stand in SCH-26 and SCH-27."""
        order = self._changeable(act)
        if order is None:
            return None
        known = {kind: one for kind, one in order.stated.items() if kind in ("placer", "filler")}
        if not known:
            return None
        ids = order.person.ids
        name, patient = order.person.name, ids[act.patient % len(ids)]
        return Message(f"SIU^{event}", at, patient, name, groups=(Group(start=start, **known),))


def _some(steps: dict[str, list[str]], what: int) -> dict[str, list[str]]:
    """All of the steps, or all but the last of the last procedure that has several."""
    if what % 3:
        return {procedure: list(names) for procedure, names in steps.items()}
    return {procedure: names[: max(1, len(names) - 1)] for procedure, names in steps.items()}


def _parent(order: Placed) -> dict[str, str]:
    return {f"parent_{kind}": one for kind, one in order.stated.items() if kind in ("placer", "filler")}


_DEEDS: Final[dict[Deed, Callable[[Ris, Act, datetime], Message | None]]] = {
    Deed.ORDER: Ris._place,
    Deed.AGAIN: Ris._again,
    Deed.CHANGE: Ris._change,
    Deed.END: Ris._end,
    Deed.HOLD: Ris._hold,
    Deed.RELEASE: Ris._release,
    Deed.STATUS: Ris._status,
    Deed.REPLACE: Ris._replace,
    Deed.SPAWN: Ris._spawn,
    Deed.RENAME: Ris._rename,
    Deed.MERGE: Ris._merge,
    Deed.IDENTIFY: Ris._identify,
    Deed.BOOK: Ris._book,
    Deed.UNBOOK: Ris._unbook,
    Deed.CONFUSE: Ris._confuse,
}
