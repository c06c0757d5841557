"""Reading messages: an HL7 message -> what it says of patients, orders, procedures and steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from pydicom.datadict import tag_for_keyword

from gateway.errors import GatewayError, InvalidValue, RequiredMissing
from gateway.mapping.identifiers import DERIVATIONS, Known, scheduled_procedure_step_id
from gateway.mapping.language.files import MappingFile
from gateway.mapping.language.trace import Trace
from gateway.mapping.language.values import fit
from gateway.mapping.orders.dialect import INDISPENSABLE, ORDER_DIALECT
from gateway.mapping.orders.functions import date, micros, offset_of, parse_dtm
from gateway.mapping.orders.groups import (
    Group,
    Segments,
    appointment_groups,
    order_groups,
    patient_groups,
    result_groups,
)
from gateway.mapping.orders.paths import Message, Scope, Settings, is_there, stated
from gateway.mapping.orders.row_values import CompiledRow, Found, default_of, derived_by, value_of
from gateway.records.order import Attributes, Number, OrderedProcedure, OrderedStep
from gateway.records.patient import PATIENT_EVENTS, Identity, PatientEvent, PatientStatement, identity_of
from gateway.records.step import APPOINTMENTS, CREATES, RESULTS, StepEvent, event_of

__all__ = ["ORDER_DIALECT", "OrderMapping", "issuer_of"]

AHEAD_MICROS: Final = 24 * 3600 * 1_000_000
"""How far ahead of the time of receipt a message may be dated; zones and clocks differ by less."""


@dataclass(frozen=True, slots=True)
class _Context:
    """What holds for all levels of one group."""

    place: str
    number: int
    describes: bool
    """Must the message say all that a worklist item needs? A cancel need not repeat what it cancels."""
    trace: list[Trace] | None


Statement = OrderedProcedure | PatientStatement


class OrderMapping:
    """`order_to_worklist.yaml`, ready to be applied."""

    def __init__(self, file: MappingFile, settings: Settings) -> None:
        self._settings = settings
        self.rows = {level: [CompiledRow.of(row, file.codes(row)) for row in rows] for level, rows in file.rows.items()}

    @property
    def tags(self) -> frozenset[int]:
        """The attributes that an order can have."""
        keywords = (one.row.target for rows in self.rows.values() for one in rows)
        return frozenset(int(tag) for one in keywords if (tag := tag_for_keyword(one)) is not None)

    def read(
        self,
        message: Message,
        *,
        received_at: int,
        trace: list[Trace] | None = None,
        settings: Settings | None = None,
    ) -> tuple[Statement, ...]:
        """What `message` states of orders or patients, in its order.

        `received_at`: microseconds, for what the message does not date. `trace`, if given, collects the source of
        every value. Raises `Rejected` with the field's place.
        """
        settings = settings or self._settings
        zone = offset_of(message.timestamp)
        if zone is not None:
            settings = replace(settings, message_zone=zone)
        if message.type == "ADT":
            scopes = (Scope({}, segments, settings, received_at) for segments in patient_groups(message))
            return tuple(self._read_patient(message, n, scope, trace) for n, scope in enumerate(scopes, start=1))
        split, event_in = _ORDERS.get(message.type, _ORDERS["ORM"])
        patient, groups = split(message)
        read = []
        for group in groups:
            scope = Scope(group.segments, patient, settings, received_at)
            read.append(self._read_group(message, group, event_in(message, group), scope, trace))
        return tuple(_merge(read)) if len(read) > 1 else tuple(read)

    def _read_patient(self, message: Message, number: int, scope: Scope, trace: list[Trace] | None) -> PatientStatement:
        event = PATIENT_EVENTS[message.trigger]
        context = _Context("PID" if number == 1 else f"PID[{number}]", 1, False, trace)
        known = Known({}, "", "", "", 0)
        patient, derived = self._level("patient", scope, known, context)
        visit, more = self._level("visit", scope, known, context)
        place = f"MRG[{number}]"
        prior = _prior(scope, identity_of(patient).issuer)
        if not prior and event in (PatientEvent.MERGE, PatientEvent.CHANGE_ID):
            raise RequiredMissing("no prior Patient ID; it is read from MRG-1 or MRG-4", place=f"{place}-1")
        event_at = _said_at(scope, message, ("EVN", 2))
        return PatientStatement(
            place=context.place,
            event=event,
            event_at=min(event_at, scope.received_at + AHEAD_MICROS),
            day=date(_utc(event_at), scope.settings),
            attributes=patient | visit,
            prior=prior,
            derived=frozenset(derived | more),
        )

    def _read_group(
        self, message: Message, group: Group, event: _Event, scope: Scope, trace: list[Trace] | None
    ) -> OrderedProcedure:
        context = _Context(group.place, group.number, event.event in CREATES, trace)
        sender = stated(message.sending_facility) or stated(message.sending_application) or scope.settings.source_name
        placer, filler = _number(scope, _PLACER), _number(scope, _FILLER)
        known = Known({}, sender, placer.value if placer else "", filler.value if filler else "", 0)

        patient, derived = self._level("patient", scope, known, context)
        visit, more = self._level("visit", scope, known, context)
        derived |= more
        order, more = self._level("order", scope, known, context)
        order = visit | order
        derived |= more
        if not (placer or filler or order.get("AccessionNumber")):
            raise RequiredMissing(
                "the order has no number: neither ORC-2, ORC-3 nor an accession number",
                place=f"{group.place}-{26 if group.opened_by == 'SCH' else 2}",
            )
        known.attributes.update(patient)
        known.attributes.update(order)
        procedure, more = self._level("procedure", scope, known, context)
        derived |= more
        known.attributes.update(procedure)
        steps = [
            self._level("step", within, replace(known, position=position) if position else known, context)
            for position, within in enumerate(_steps(scope))
        ]
        return OrderedProcedure(
            place=group.place,
            event=event.event,
            control=event.control,
            event_at=_event_at(group, message, scope),
            patient=patient,
            order=order,
            procedure=procedure,
            steps=_distinct([OrderedStep(attributes) for attributes, _ in steps]),
            authority=issuer_of(order) or sender,
            sender=sender,
            placer=placer,
            filler=filler,
            parent=_parent(scope),
            # What any step says, the message says.
            derived=frozenset(derived | set.intersection(*(own for _, own in steps))),
        )

    def _level(self, name: str, scope: Scope, known: Known, context: _Context) -> tuple[Attributes, set[str]]:
        """The attributes of one level, and which of them are ours because the message has none."""
        result: Attributes = {}
        ours: set[str] = set()
        unsaid = scope.said.isdisjoint
        for compiled in self.rows[name]:
            row = compiled.row
            if compiled.fields is not None and unsaid(compiled.fields) and row.target not in INDISPENSABLE:
                continue
            try:
                found = value_of(compiled, scope)
            except GatewayError as error:
                error.place = _within(str(error.place), compiled, context)
                raise
            if not found[0]:
                if row.otherwise:
                    found = _derive(compiled, replace(known, attributes=known.attributes | result)) or found
                if not found[0] and row.default:
                    found = default_of(compiled, scope.settings)
                if not found[0] and _is_needed(compiled, context):
                    raise _missing(compiled, scope, context)
                if found[0] == "":
                    continue
            value, source, remark = found
            result[row.target] = value
            if source in compiled.ours:
                ours.add(row.target)
            if context.trace is not None:
                level = name if context.number == 1 or name == "patient" else f"{name}[{context.number}]"
                context.trace.append(Trace(level, row.target, value, source, row.origin, remark))
        return result, ours


def _derive(compiled: CompiledRow, known: Known) -> Found | None:
    value, remark = fit(compiled.vr, DERIVATIONS[compiled.row.otherwise](known), too_long="reject")
    return (value, derived_by(compiled.row), remark) if value else None


def _is_needed(compiled: CompiledRow, context: _Context) -> bool:
    return compiled.row.target in INDISPENSABLE or (compiled.row.required and context.describes)


def _missing(compiled: CompiledRow, scope: Scope, context: _Context) -> RequiredMissing:
    """The error for a required value, at the first of its places whose segment the message has."""
    row = compiled.row
    places = [path for path in row.sources if not path.startswith(("site.", "source."))] or [row.target]
    first = next((path for path in places if is_there(path, scope)), places[0])
    text = f"{row.target} has no value; it is read from {' or '.join(places)}"
    return RequiredMissing(text, place=_within(first, compiled, context))


def _within(path: str, compiled: CompiledRow, context: _Context) -> str:
    return path if context.number == 1 or compiled.row.level == "patient" else f"{path} of {context.place}"


def _steps(scope: Scope) -> Iterator[Scope]:
    """One scope per IPC (OMI_O23), else the group itself: one step."""
    protocols = scope.order.get("IPC", ())
    if len(protocols) <= 1:
        yield scope
        return
    for protocol in protocols:
        yield replace(scope, order={**scope.order, "IPC": [protocol]})


def _merge(read: Sequence[OrderedProcedure]) -> Iterator[OrderedProcedure]:
    """Put ORC/OBR pairs that the sender tied together into one procedure: those of one Study Instance UID, or of one
    Requested Procedure ID under one accession number.

    Pairs of the same Scheduled Procedure Step ID are further protocol codes of one step.
    """
    merged: dict[tuple[str, ...], OrderedProcedure] = {}
    for one in read:
        key = _tie(one)
        merged[key] = _join(merged[key], one) if key in merged else one
    yield from merged.values()


def _tie(one: OrderedProcedure) -> tuple[str, ...]:
    if "StudyInstanceUID" not in one.derived:
        return one.control, str(one.procedure["StudyInstanceUID"])
    if not {"RequestedProcedureID", "AccessionNumber"} & one.derived:
        accession = str(one.order.get("AccessionNumber") or "")
        return one.control, one.authority, accession, str(one.procedure["RequestedProcedureID"])
    return (one.place,)


def _join(first: OrderedProcedure, more: OrderedProcedure) -> OrderedProcedure:
    steps = {_step_id(step): step for step in first.steps}
    for step in more.steps:
        key = _step_id(step)
        if key not in steps:
            steps[key] = step
        elif "ScheduledProcedureStepID" not in more.derived:
            steps[key] = _with_protocols_of(steps[key], step)
        else:
            # Two pairs without step ids under one procedure: the second is another step.
            known = Known(more.procedure, more.authority, "", "", len(steps))
            key = scheduled_procedure_step_id(known)
            steps[key] = OrderedStep(step.attributes | {"ScheduledProcedureStepID": key})
    return replace(first, steps=tuple(steps.values()), derived=first.derived & more.derived)


def _distinct(steps: list[OrderedStep]) -> tuple[OrderedStep, ...]:
    """IPC segments of one Scheduled Procedure Step ID are further protocol codes of one step."""
    if len(steps) == 1:
        return (steps[0],)
    found: dict[str, OrderedStep] = {}
    for step in steps:
        key = _step_id(step)
        found[key] = _with_protocols_of(found[key], step) if key in found else step
    return tuple(found.values())


def _step_id(step: OrderedStep) -> str:
    return str(step.attributes["ScheduledProcedureStepID"])


def _with_protocols_of(step: OrderedStep, other: OrderedStep) -> OrderedStep:
    keyword = "ScheduledProtocolCodeSequence"
    codes = [*(step.attributes.get(keyword) or ()), *(other.attributes.get(keyword) or ())]
    unique: dict[Any, Attributes] = {tuple(sorted(code.items())): code for code in codes}
    return OrderedStep(step.attributes | {keyword: list(unique.values())}) if codes else step


_PLACER: Final = (("ORC", 2), ("OBR", 2), ("SCH", 26), ("SCH", 1))
_FILLER: Final = (("ORC", 3), ("OBR", 3), ("SCH", 27), ("SCH", 2))
"""Where an order's numbers stand. An appointment of before HL7 2.5 has no SCH-26 and SCH-27: senders use the order's
numbers for its own."""


def _number(scope: Scope, places: Sequence[tuple[str, int]]) -> Number | None:
    """An order number (EI) with the authority that gave it, as far as the message says it."""
    for name, field in places:
        for segment in scope.order.get(name, ())[:1]:
            value = stated(segment.leaf(field))
            if value:
                return Number(value, stated(segment.leaf(field, 2)) or stated(segment.leaf(field, 3)))
    return None


def _parent(scope: Scope) -> Number | None:
    """ORC-8 (EIP): the parent's placer number, in the subcomponents of component 1."""
    for orc in scope.order.get("ORC", ())[:1]:
        value = stated(orc.leaf(8))
        if value:
            return Number(value, stated(orc.leaf(8, 1, 2)) or stated(orc.leaf(8, 1, 3)))
    return None


def _prior(scope: Scope, issuer: str) -> tuple[Identity, ...]:
    """MRG-1, each repetition, else MRG-4 of before HL7 2.5; of the survivor's issuer unless another is stated."""
    for merge in scope.patient.get("MRG", ())[:1]:
        for field in (1, 4):
            found = []
            for repetition in merge.repetitions(field):
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


def _event_at(group: Group, message: Message, scope: Scope) -> int:
    """ORC-9, else MSH-7, else the time of receipt.

    A time far ahead is a slip of the sender's clock; taken at its word, it would make every later cancel stale.
    """
    said = _said_at(scope, message, ("ORC", 9), group.place)
    return said if said <= scope.received_at + AHEAD_MICROS else scope.received_at


def _said_at(scope: Scope, message: Message, where: tuple[str, int], place: str = "") -> int:
    name, field = where
    zone = scope.settings.message_zone or scope.settings.zone
    for segment in scope.segments(name, None)[:1]:
        written = stated(segment.leaf(field))
        if written:
            try:
                return micros(parse_dtm(written, zone)[0])
            except GatewayError as error:
                raise InvalidValue(error.message, place=f"{place or name}-{field}") from error
    try:
        return micros(parse_dtm(stated(message.timestamp), zone)[0])
    except InvalidValue:
        return scope.received_at


def _utc(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment // 1_000_000, UTC):%Y%m%d%H%M%S}+0000"


# What a message does


@dataclass(frozen=True, slots=True)
class _Event:
    event: StepEvent | None
    control: str = ""
    """ORC-1."""


def _by_order_control(_message: Message, group: Group) -> _Event:
    """ORC-1 with ORC-5."""
    orc = group.segments["ORC"][0]
    control, status = stated(orc.leaf(1)).upper(), stated(orc.leaf(5)).upper()
    if not control:
        raise RequiredMissing("order control is empty", place=f"{group.place}-1")
    return _Event(event_of(control, status), control)


def _by_result_status(_message: Message, group: Group) -> _Event:
    """OBR-25: a report tells that the examination is done."""
    statuses = [stated(obr.leaf(25)).upper() for obr in group.segments.get("OBR", ())]
    done = any(status in RESULTS for status in statuses)
    return _Event(StepEvent.COMPLETE if done else StepEvent.STATUS)


def _by_trigger(message: Message, _group: Group) -> _Event:
    return _Event(APPOINTMENTS[message.trigger])


_ORDERS: Final[
    dict[str, tuple[Callable[[Message], tuple[Segments, list[Group]]], Callable[[Message, Group], _Event]]]
] = {
    "ORM": (order_groups, _by_order_control),
    "OMG": (order_groups, _by_order_control),
    "OMI": (order_groups, _by_order_control),
    "ORU": (result_groups, _by_result_status),
    "SIU": (appointment_groups, _by_trigger),
}
"""MSH-9.1 -> how its orders are set apart, and where their event stands."""
