"""Reading messages: an HL7 message -> what it says of patients, orders, procedures and steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final, TypeVar

from pydicom.datadict import tag_for_keyword

from gateway.clock import dtm_of
from gateway.errors import GatewayError, Place, Rejected, RequiredMissing, together
from gateway.mapping.identifiers import Known
from gateway.mapping.language.rows import MappingFile
from gateway.mapping.language.trace import Trace
from gateway.mapping.orders.dialect import ORDER_DIALECT
from gateway.mapping.orders.groups import (
    Group,
    Segments,
    appointment_groups,
    order_groups,
    patient_groups,
    result_groups,
)
from gateway.mapping.orders.levels import Everything, GroupRead, LevelRead, Levels
from gateway.mapping.orders.merging import distinct_steps, merge_groups
from gateway.mapping.orders.order_control import Controls, controls_of
from gateway.mapping.orders.order_numbers import (
    AHEAD_MICROS,
    GroupEvent,
    by_order_control,
    by_result_status,
    by_trigger,
    event_at,
    issuer_of,
    numbers_of,
    parent_of,
    prior_identities,
    stated_at,
)
from gateway.mapping.orders.protocol_steps import StepsRead, is_whole_list, is_withdrawn, step_scopes
from gateway.mapping.orders.repetition_choice import REPEATED, with_preferred_repetitions
from gateway.mapping.orders.row_values import CompiledRow
from gateway.mapping.orders.scope import ReadableMessage, Scope, SegmentsByName, stated
from gateway.mapping.orders.settings import Settings
from gateway.mapping.orders.times import date, offset_of
from gateway.records.finding import Finding
from gateway.records.imaging_order import STEP_ID
from gateway.records.order import Attributes, Number, OrderedProcedure, OrderedStep, StepListing
from gateway.records.patient import PATIENT_EVENTS, PatientEvent, PatientStatement, identity_of
from gateway.records.step import CREATES, StepEvent

__all__ = ["ORDER_DIALECT", "OrderMapping", "issuer_of"]


Statement = OrderedProcedure | PatientStatement
_Read = TypeVar("_Read", bound=Statement)


@lru_cache(maxsize=4)
def _compiled(file: MappingFile) -> Mapping[str, Sequence[CompiledRow]]:
    """The rows of each level, which no setting of a site changes."""
    return {level: [CompiledRow.of(row, file.codes(row)) for row in rows] for level, rows in file.rows.items()}


class OrderMapping:
    """`order_to_worklist.yaml`, ready to be applied."""

    def __init__(self, file: MappingFile, settings: Settings) -> None:
        self._settings = settings
        self.rows = _compiled(file)
        self._levels = Levels(self.rows)
        self.controls = controls_of(file.tables)

    @property
    def tags(self) -> frozenset[int]:
        """The attributes that an order can have."""
        keywords = (one.row.target for rows in self.rows.values() for one in rows)
        return frozenset(int(tag) for one in keywords if (tag := tag_for_keyword(one)) is not None)

    def read(
        self,
        message: ReadableMessage,
        *,
        received_at: int,
        trace: list[Trace] | None = None,
        settings: Settings | None = None,
    ) -> tuple[Statement, ...]:
        """What `message` states of orders or patients, in its order.

        `received_at`: microseconds, for what the message does not date. `trace`, if given, collects the source of
        every value. Raises `Rejected` with the field's place, and all other faults of the message beside it.
        """
        settings = settings or self._settings
        zone = offset_of(message.timestamp)
        if zone is not None:
            settings = replace(settings, message_zone=zone)
        if message.type == "ADT":
            return tuple(
                _all_of(
                    partial(self._read_patient, message, number, Scope({}, segments, settings, received_at), trace)
                    for number, segments in enumerate(patient_groups(message), start=1)
                )
            )
        split, event_in = _ORDERS.get(message.type, _ORDERS["ORM"])
        patient, groups = split(message)
        read: list[OrderedProcedure] = _all_of(
            partial(
                self._read_group, message, group, event_in, Scope(group.segments, patient, settings, received_at), trace
            )
            for group in groups
        )
        return tuple(merge_groups(read)) if len(read) > 1 else tuple(read)

    def _read_patient(
        self, message: ReadableMessage, number: int, scope: Scope, trace: list[Trace] | None
    ) -> PatientStatement:
        event = PATIENT_EVENTS[message.trigger]
        scope, findings = _preferring(scope)
        context = GroupRead(Place("PID", sequence=0 if number == 1 else number), number, False, trace, findings)
        known = Known({}, "", "", "", 0)
        patient, derived = self._levels.read("patient", scope, known, context)
        visit, more = self._levels.read("visit", scope, known, context)
        context.check()
        prior = prior_identities(scope, identity_of(patient).issuer)
        if not prior and event in (PatientEvent.MERGE, PatientEvent.CHANGE_ID):
            raise RequiredMissing("no prior Patient ID in MRG-1 or MRG-4", place=Place("MRG", 1, sequence=number))
        event_at = stated_at(scope, message, ("EVN", 2), findings)
        return PatientStatement(
            place=context.place,
            event=event,
            event_at=min(event_at, scope.received_at + AHEAD_MICROS),
            day=date(dtm_of(event_at), scope.settings),
            attributes=patient | visit,
            prior=prior,
            derived=frozenset(derived | more),
            findings=tuple(findings),
        )

    def _read_group(
        self, message: ReadableMessage, group: Group, event_in: _EventIn, scope: Scope, trace: list[Trace] | None
    ) -> OrderedProcedure:
        event = event_in(message, group, self.controls)
        scope, findings = _preferring(scope)
        context = GroupRead(group.place, group.number, event.event in CREATES, trace, findings, _may_lack(event, scope))
        (placer, filler), (parent, parent_filler) = numbers_of(scope), parent_of(scope)
        known = _known(message, scope, placer, filler)
        patient, order, procedure, steps, derived = self._read_levels(group, scope, known, context)
        return OrderedProcedure(
            place=context.place,
            event=event.event,
            control=event.control,
            event_at=event_at(context.place, message, scope, findings),
            patient=patient,
            order=order,
            procedure=procedure,
            steps=distinct_steps([OrderedStep(attributes) for attributes, _ in steps.listed]),
            listing=steps.listing,
            authority=issuer_of(order) or known.authority,
            sender=known.authority,
            placer=placer,
            filler=filler,
            parent=parent,
            parent_filler=parent_filler,
            derived=frozenset(derived | steps.derived()),
            findings=tuple(findings),
            missing=tuple(context.missing.values()),
            not_imaging=_not_imaging(context, scope.settings),
        )

    def _read_levels(
        self, group: Group, scope: Scope, known: Known, context: GroupRead
    ) -> tuple[Attributes, Attributes, Attributes, StepsRead, set[str]]:
        """Patient, order with its visit, procedure and steps of a group, and what the gateway gives to them itself.

        Each level knows what has been read of those before it. Raises the faults of all.
        """
        patient, derived = self._patient_of_order(scope, known, context)
        visit, more = self._levels.read("visit", scope, known, context)
        derived |= more
        order, more = self._levels.read("order", scope, known, context)
        order = visit | order
        derived |= more
        if not (known.placer or known.filler or order.get("AccessionNumber")):
            place = group.place.at(26 if group.opened_by == "SCH" else 2)
            text = "the order has no number: neither ORC-2, ORC-3 nor an accession number"
            context.refusals.append(RequiredMissing(text, place=place))
        known.attributes.update(patient)
        known.attributes.update(order)
        procedure, more = self._levels.read("procedure", scope, known, context)
        derived |= more
        known.attributes.update(procedure)
        steps = self._read_steps(scope, known, context)
        context.check()
        return patient, order, procedure, steps, derived

    def _read_steps(self, scope: Scope, known: Known, context: GroupRead) -> StepsRead:
        listed: list[LevelRead] = []
        withdrawn = set[str]()
        for position, within in enumerate(step_scopes(scope)):
            of_step = replace(known, position=position) if position else known
            if not (context.describes and is_withdrawn(within)):
                listed.append(self._levels.read("step", within, of_step, context))
                continue
            apart = replace(context, trace=None, findings=[], may_lack=Everything(), missing={}, refusals=[])
            attributes, own = self._levels.read("step", within, of_step, apart)
            if STEP_ID in attributes and STEP_ID not in own:
                withdrawn.add(str(attributes[STEP_ID]))
            else:
                context.findings.append(Finding(Place("IPC", 10), "takes back a step and names none; nothing is done"))
        return StepsRead(listed, StepListing(frozenset(withdrawn), is_whole_list(scope)))

    def _patient_of_order(self, scope: Scope, known: Known, context: GroupRead) -> LevelRead:
        """The patient, whom a message that only speaks of an order need not name."""
        if "PID" not in scope.patient:
            if context.describes:
                lacking = RequiredMissing("the message has no PID segment before its orders", place=Place("PID"))
                if "PatientID" in context.may_lack:
                    context.missing["PatientID"] = lacking
                else:
                    context.refusals.append(lacking)
            return {}, set()
        if context.describes:
            return self._levels.read("patient", scope, known, context)
        of_patient = replace(context, refusals=[])
        read = self._levels.read("patient", scope, known, of_patient)
        for error in of_patient.refusals[:1]:
            context.findings.append(Finding(error.place, f"the patient is left out: {error.message}"))
            return {}, set()
        return read


_MODALITY: Final = "Modality"


def _known(message: ReadableMessage, scope: Scope, placer: Number | None, filler: Number | None) -> Known:
    """What derivations may look at before any attribute is read: who ordered, and the numbers."""
    sender = stated(message.sending_facility) or stated(message.sending_application) or scope.settings.source_name
    return Known({}, sender, placer.value if placer else "", filler.value if filler else "", 0)


def _may_lack(event: GroupEvent, scope: Scope) -> Collection[str] | Everything:
    if event.event in (StepEvent.CHANGE, StepEvent.ENSURE):
        return Everything()
    return (_MODALITY,) if scope.settings.without_modality == "store" else ()


def _not_imaging(context: GroupRead, settings: Settings) -> Finding | None:
    """Why the group is no imaging order, for a source that sends others too."""
    fault = context.missing.get(_MODALITY)
    if fault is None or settings.without_modality != "store":
        return None
    return Finding(fault.place, f"kept only: no imaging order ({fault.message})")


def _preferring(scope: Scope) -> tuple[Scope, list[Finding]]:
    """The scope with the identifiers and persons that count in the first place, and what is odd about them."""
    findings: list[Finding] = []
    patient, order = (_preferred(part, scope.settings, findings) for part in (scope.patient, scope.order))
    unchanged = patient is scope.patient and order is scope.order
    return (scope if unchanged else replace(scope, patient=patient, order=order)), findings


def _preferred(part: SegmentsByName, settings: Settings, findings: list[Finding]) -> SegmentsByName:
    changed = {}
    for name in REPEATED:
        segments = part.get(name)
        if segments and not segments[0].separator and segments[0].has_repetitions:
            first = with_preferred_repetitions(segments[0], settings, findings)
            if first is not segments[0]:
                changed[name] = [first, *segments[1:]]
    return {**part, **changed} if changed else part


def _all_of(readers: Iterable[Callable[[], _Read]]) -> list[_Read]:
    """What all groups of a message state. Raises the faults of all groups together."""
    read: list[_Read] = []
    refusals: list[GatewayError] = []
    for reader in readers:
        try:
            read.append(reader())
        except Rejected as error:
            refusals += [error, *error.others]
    if refusals:
        raise together(refusals)
    return read


_Split = Callable[[ReadableMessage], tuple[Segments, list[Group]]]
_EventIn = Callable[[ReadableMessage, Group, Controls], GroupEvent]
_ORDERS: Final[dict[str, tuple[_Split, _EventIn]]] = {
    "ORM": (order_groups, by_order_control),
    "OMG": (order_groups, by_order_control),
    "OMI": (order_groups, by_order_control),
    "ORU": (result_groups, by_result_status),
    "SIU": (appointment_groups, by_trigger),
}
"""MSH-9.1 -> how its orders are set apart, and where their event stands."""
