"""Order numbers, parents, prior patients and the event of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.errors import InvalidValue, Place, RequiredMissing
from gateway.mapping.orders.groups import Group
from gateway.mapping.orders.order_control import Controls, event_of
from gateway.mapping.orders.repetition_choice import preferred_identifiers
from gateway.mapping.orders.scope import ReadableMessage, Scope, stated
from gateway.mapping.orders.times import in_its_hour, micros, parse_dtm
from gateway.records.finding import Finding
from gateway.records.order import Attributes, Number
from gateway.records.patient import Identity
from gateway.records.step import APPOINTMENTS, RESULTS, StepEvent
from gateway.value_class import value_class

AHEAD_MICROS: Final = 24 * 3600 * 1_000_000
"""How far ahead of the time of receipt a message may be dated; zones and clocks differ by less."""


PLACER: Final = (("ORC", 2), ("OBR", 2), ("SCH", 26))

FILLER: Final = (("ORC", 3), ("OBR", 3), ("SCH", 27))

APPOINTMENT: Final = (("SCH", 1),), (("SCH", 2),)
"""The numbers of an appointment itself. One of before HL7 2.5 has no SCH-26 and SCH-27: senders use the order's numbers
for it."""


def numbers_of(scope: Scope) -> tuple[Number | None, Number | None]:
    """The order's placer and filler number."""
    placer, filler = _number_at(scope, PLACER), _number_at(scope, FILLER)
    if placer is filler is None:
        placer, filler = (_number_at(scope, places) for places in APPOINTMENT)
    return placer, filler


def _number_at(scope: Scope, places: Sequence[tuple[str, int]]) -> Number | None:
    """An order number (EI) with the authority that gave it, as far as the message says it."""
    for name, field in places:
        for segment in scope.order.get(name, ())[:1]:
            value = stated(segment.leaf(field))
            if value:
                return Number(value, stated(segment.leaf(field, 2)) or stated(segment.leaf(field, 3)))
    return None


def parent_of(scope: Scope) -> tuple[Number | None, Number | None]:
    """ORC-8 (EIP): the parent's placer number, in the subcomponents of component 1, else its filler number, in those of
    component 2.

    Not both: who writes ORC-8 as an EI has the authority of the placer number in component 2.
    """
    for orc in scope.order.get("ORC", ())[:1]:
        if not orc.field(8):
            break
        placer, filler = (
            Number(value, stated(orc.leaf(8, part, 2)) or stated(orc.leaf(8, part, 3)))
            if (value := stated(orc.leaf(8, part)))
            else None
            for part in (1, 2)
        )
        return placer, None if placer else filler
    return None, None


def prior_identities(scope: Scope, issuer: str) -> tuple[Identity, ...]:
    """MRG-1, each repetition, else MRG-4 of before HL7 2.5; of the survivor's issuer unless another is stated."""
    for merge in scope.patient.get("MRG", ())[:1]:
        for field in (1, 4):
            found = []
            for repetition in preferred_identifiers(merge.repetitions(field), scope.settings):
                leaves = [[stated(leaf) for leaf in component] for component in repetition]
                authority = leaves[3] if len(leaves) > 3 else []
                if leaves[0][0]:
                    found.append(Identity(leaves[0][0], next(filter(None, authority[:2]), issuer)))
            if found:
                return tuple(dict.fromkeys(found))
    return ()


def issuer_of(order: Attributes) -> str:
    """Who gave the accession number, if the order says it."""
    items = order.get("IssuerOfAccessionNumberSequence") or [{}]
    return str(items[0].get("LocalNamespaceEntityID") or items[0].get("UniversalEntityID") or "")


def event_at(place: Place, message: ReadableMessage, scope: Scope, findings: list[Finding]) -> int:
    """ORC-9, else MSH-7, else the time of receipt.

    A time far ahead is a slip of the sender's clock; taken at its word, it would make every later cancel stale.
    """
    transaction_at = stated_at(scope, message, ("ORC", 9), findings, place)
    return transaction_at if transaction_at <= scope.received_at + AHEAD_MICROS else scope.received_at


def stated_at(
    scope: Scope, message: ReadableMessage, where: tuple[str, int], findings: list[Finding], place: Place | None = None
) -> int:
    """The time at `where`, else MSH-7, else the time of receipt. A time that cannot be read becomes a finding."""
    name, field = where
    zone = scope.settings.message_zone or scope.settings.zone
    for segment in scope.segments(name, None)[:1]:
        written = stated(segment.leaf(field))
        if written:
            try:
                return micros(in_its_hour(parse_dtm(written, zone)[0], scope.received_at))
            except InvalidValue as error:
                text = f"{error.message}; the time of the message is taken"
                findings.append(Finding((place or Place(name)).at(field), text))
    try:
        return micros(in_its_hour(parse_dtm(stated(message.timestamp), zone)[0], scope.received_at))
    except InvalidValue:
        return scope.received_at


# What a message does


@value_class
class GroupEvent:
    event: StepEvent | None
    control: str = ""
    """ORC-1."""


def by_order_control(_message: ReadableMessage, group: Group, controls: Controls) -> GroupEvent:
    """ORC-1 with ORC-5, by the code table `order_control`."""
    orc = group.segments["ORC"][0]
    control, status = stated(orc.leaf(1)).upper(), stated(orc.leaf(5)).upper()
    if not control:
        raise RequiredMissing("order control is empty", place=group.place.at(1))
    return GroupEvent(event_of(controls, control, status), control)


def by_result_status(_message: ReadableMessage, group: Group, _controls: Controls) -> GroupEvent:
    """OBR-25: a report tells that the examination is done."""
    statuses = [stated(obr.leaf(25)).upper() for obr in group.segments.get("OBR", ())]
    done = any(status in RESULTS for status in statuses)
    return GroupEvent(StepEvent.COMPLETE if done else StepEvent.STATUS)


def by_trigger(message: ReadableMessage, _group: Group, _controls: Controls) -> GroupEvent:
    return GroupEvent(APPOINTMENTS[message.trigger])
