# Long: one group is read level by level, in one sequence.
"""Reading messages: an HL7 message -> what it says of patients, orders, procedures and steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from pydicom.datadict import tag_for_keyword

from gateway.errors import GatewayError, Place, Rejected, RequiredMissing
from gateway.mapping.identifiers import DERIVATIONS, Known
from gateway.mapping.language.rows import MappingFile
from gateway.mapping.language.trace import Trace
from gateway.mapping.language.values import fit
from gateway.mapping.orders.dialect import INDISPENSABLE, ORDER_DIALECT
from gateway.mapping.orders.groups import (
    Group,
    Segments,
    appointment_groups,
    order_groups,
    patient_groups,
    result_groups,
)
from gateway.mapping.orders.merging import distinct_steps, merge_groups
from gateway.mapping.orders.order_numbers import (
    AHEAD_MICROS,
    FILLER,
    PLACER,
    GroupEvent,
    by_order_control,
    by_result_status,
    by_trigger,
    event_at,
    issuer_of,
    number_at,
    parent_of,
    prior_identities,
    stated_at,
    utc_of,
)
from gateway.mapping.orders.paths import Message, Scope, SegmentsByName, Settings, is_there, stated
from gateway.mapping.orders.places import place_of
from gateway.mapping.orders.repetition_choice import REPEATED, with_preferred_repetitions
from gateway.mapping.orders.row_values import CompiledRow, Found, default_of, derived_by, value_of
from gateway.mapping.orders.times import date, offset_of
from gateway.records.finding import Finding
from gateway.records.order import Attributes, OrderedProcedure, OrderedStep
from gateway.records.patient import PATIENT_EVENTS, PatientEvent, PatientStatement, identity_of
from gateway.records.step import CREATES, StepEvent

__all__ = ["ORDER_DIALECT", "OrderMapping", "issuer_of"]


@dataclass(frozen=True, slots=True)
class _Context:
    """What holds for all levels of one group."""

    place: Place
    number: int
    describes: bool
    """Must the message say all that a worklist item needs? A cancel need not repeat what it cancels."""
    trace: list[Trace] | None
    findings: list[Finding]
    missing: list[RequiredMissing] | None = None
    """Required attributes without a value, where the order may have them already; None: they are an error."""


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
        return tuple(merge_groups(read)) if len(read) > 1 else tuple(read)

    def _read_patient(self, message: Message, number: int, scope: Scope, trace: list[Trace] | None) -> PatientStatement:
        event = PATIENT_EVENTS[message.trigger]
        scope, findings = _preferring(scope)
        context = _Context(Place("PID", sequence=0 if number == 1 else number), 1, False, trace, findings)
        known = Known({}, "", "", "", 0)
        patient, derived = self._level("patient", scope, known, context)
        visit, more = self._level("visit", scope, known, context)
        prior = prior_identities(scope, identity_of(patient).issuer)
        if not prior and event in (PatientEvent.MERGE, PatientEvent.CHANGE_ID):
            raise RequiredMissing(
                "no prior Patient ID; it is read from MRG-1 or MRG-4", place=Place("MRG", 1, sequence=number)
            )
        event_at = stated_at(scope, message, ("EVN", 2), findings)
        return PatientStatement(
            place=context.place,
            event=event,
            event_at=min(event_at, scope.received_at + AHEAD_MICROS),
            day=date(utc_of(event_at), scope.settings),
            attributes=patient | visit,
            prior=prior,
            derived=frozenset(derived | more),
            findings=tuple(findings),
        )

    def _read_group(
        self, message: Message, group: Group, event: GroupEvent, scope: Scope, trace: list[Trace] | None
    ) -> OrderedProcedure:
        scope, findings = _preferring(scope)
        missing: list[RequiredMissing] | None = [] if event.event is StepEvent.CHANGE else None
        context = _Context(group.place, group.number, event.event in CREATES, trace, findings, missing)
        sender = stated(message.sending_facility) or stated(message.sending_application) or scope.settings.source_name
        placer, filler = number_at(scope, PLACER), number_at(scope, FILLER)
        known = Known({}, sender, placer.value if placer else "", filler.value if filler else "", 0)

        patient, derived = self._patient_of_order(scope, known, context)
        visit, more = self._level("visit", scope, known, context)
        derived |= more
        order, more = self._level("order", scope, known, context)
        order = visit | order
        derived |= more
        if not (placer or filler or order.get("AccessionNumber")):
            raise RequiredMissing(
                "the order has no number: neither ORC-2, ORC-3 nor an accession number",
                place=group.place.at(26 if group.opened_by == "SCH" else 2),
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
            event_at=event_at(group, message, scope, findings),
            patient=patient,
            order=order,
            procedure=procedure,
            steps=distinct_steps([OrderedStep(attributes) for attributes, _ in steps]),
            authority=issuer_of(order) or sender,
            sender=sender,
            placer=placer,
            filler=filler,
            parent=parent_of(scope),
            # What any step says, the message says.
            derived=frozenset(derived | set.intersection(*(own for _, own in steps))),
            findings=tuple(findings),
            missing=tuple(missing or ()),
        )

    def _patient_of_order(self, scope: Scope, known: Known, context: _Context) -> tuple[Attributes, set[str]]:
        """The patient, whom a message that only speaks of an order need not name."""
        if context.describes:
            if "PID" not in scope.patient:
                raise RequiredMissing("the message has no PID segment before its orders", place=Place("PID"))
            return self._level("patient", scope, known, context)
        if "PID" not in scope.patient:
            return {}, set()
        try:
            return self._level("patient", scope, known, context)
        except Rejected as error:
            context.findings.append(Finding(error.place, f"the patient is left out: {error.message}"))
            return {}, set()

    def _level(self, name: str, scope: Scope, known: Known, context: _Context) -> tuple[Attributes, set[str]]:
        """The attributes of one level, and which of them are ours because the message has none."""
        result: Attributes = {}
        ours: set[str] = set()
        unsaid = scope.stated_keys.isdisjoint
        for compiled in self.rows[name]:
            row = compiled.row
            if compiled.fields is not None and unsaid(compiled.fields) and row.target not in INDISPENSABLE:
                continue
            value, source, remark = self._found(compiled, scope, known, result, context)
            if value == "":
                continue
            if value is None and row.required:
                text = f"{row.target} must have a value; the null is not applied"
                context.findings.append(Finding(_within(place_of(row.sources[0]), compiled, context), text))
                continue
            result[row.target] = value
            if source in compiled.ours:
                ours.add(row.target)
            if context.trace is not None:
                level = name if context.number == 1 or name == "patient" else f"{name}[{context.number}]"
                context.trace.append(Trace(level, row.target, value, source, row.origin, remark))
        return result, ours

    def _found(self, compiled: CompiledRow, scope: Scope, known: Known, before: Attributes, context: _Context) -> Found:
        """The value of a row: of the message, derived (also from `before`, the rows above), or the default.

        Raises `Rejected` for what cannot be done without; all else that cannot be used is left out with a finding.
        """
        row = compiled.row
        faults: list[GatewayError] = []
        found = value_of(compiled, scope, faults)
        if found[0] and not faults and row.target not in ASSIGNED:
            return found
        for error in faults:
            error.place = _within(error.place, compiled, context)
        if faults and not found[0] and row.target in REFUSES and context.describes:
            raise faults[0]
        if not found[0]:
            if row.otherwise:
                found = _derive(compiled, replace(known, attributes=known.attributes | before)) or found
            if not found[0] and row.default:
                found = default_of(compiled, scope.settings)
            if not found[0] and _is_needed(compiled, context):
                error = faults[0] if faults else _missing(compiled, scope, context)
                if context.missing is None or row.target in INDISPENSABLE:
                    raise error
                context.missing.append(RequiredMissing(error.message, place=error.place))
        context.findings.extend(Finding(one.place, f"{row.target}: {one.message}; it is left out") for one in faults)
        if row.target in ASSIGNED and "IPC" in scope.order:
            context.findings.extend(_differing(compiled, scope, found))
        return found


REFUSES: Final = frozenset({"AccessionNumber", "PatientID", "IssuerOfPatientID"})
"""Attributes in whose place nothing else may stand: who is examined, and the number by which others know the exam."""
ASSIGNED: Final = frozenset({"AccessionNumber", "StudyInstanceUID"})
"""Attributes that a message may give in two places, IPC and OBR-18 or ZDS."""


def _differing(compiled: CompiledRow, scope: Scope, found: Found) -> Iterator[Finding]:
    """A finding for each other place that gives another value than the one taken."""
    for path, read in compiled.sources:
        raw = read(scope)
        if raw and path != found[1] and raw != found[0]:
            yield Finding(
                place_of(path), f"{compiled.row.target} {raw!r} differs from that of {found[1]}, which is taken"
            )


def _preferring(scope: Scope) -> tuple[Scope, list[Finding]]:
    """The scope with the identifiers and persons that count in the first place, and what is odd about them."""
    findings: list[Finding] = []
    patient, order = (_preferred(part, scope.settings, findings) for part in (scope.patient, scope.order))
    unchanged = patient is scope.patient and order is scope.order
    return (scope if unchanged else replace(scope, patient=patient, order=order)), findings


def _preferred(part: SegmentsByName, settings: Settings, findings: list[Finding]) -> SegmentsByName:
    changed = {}
    for name in REPEATED.keys() & part.keys():
        for segment in part[name][:1]:
            first = with_preferred_repetitions(segment, settings, findings)
            if first is not segment:
                changed[name] = [first, *part[name][1:]]
    return {**part, **changed} if changed else part


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
    return RequiredMissing(text, place=_within(place_of(first), compiled, context))


def _within(place: Place | str, compiled: CompiledRow, context: _Context) -> Place | str:
    """The place within its group, where the message has more than one."""
    if isinstance(place, str) or context.number == 1 or compiled.row.level == "patient":
        return place
    return replace(place, group=context.place.segment, group_number=context.number)


def _steps(scope: Scope) -> Iterator[Scope]:
    """One scope per IPC (OMI_O23), else the group itself: one step."""
    protocols = scope.order.get("IPC", ())
    if len(protocols) <= 1:
        yield scope
        return
    for protocol in protocols:
        yield replace(scope, order={**scope.order, "IPC": [protocol]})


_ORDERS: Final[
    dict[str, tuple[Callable[[Message], tuple[Segments, list[Group]]], Callable[[Message, Group], GroupEvent]]]
] = {
    "ORM": (order_groups, by_order_control),
    "OMG": (order_groups, by_order_control),
    "OMI": (order_groups, by_order_control),
    "ORU": (result_groups, by_result_status),
    "SIU": (appointment_groups, by_trigger),
}
"""MSH-9.1 -> how its orders are set apart, and where their event stands."""
