"""Reading orders: an HL7 order message -> what it says of patients, orders, procedures and steps.

Segments are taken by position, as the abstract syntax of ORM_O01 and its kin has them: what stands before the first
ORC is the patient's, each ORC opens a group of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.errors import GatewayError, InvalidValue, Malformed, RequiredMissing
from gateway.mapping.hl7_functions import micros, offset_of, parse_dtm
from gateway.mapping.hl7_paths import Message, Scope, Segment, Settings, is_there, stated
from gateway.mapping.identifiers import DERIVATIONS, Known, scheduled_procedure_step_id
from gateway.mapping.language import MappingFile
from gateway.mapping.order_dialect import INDISPENSABLE, ORDER_DIALECT
from gateway.mapping.row_values import CompiledRow, Found, default_of, derived_by, value_of
from gateway.mapping.trace import Trace
from gateway.mapping.values import fit
from gateway.records.order import Attributes, Number, OrderedProcedure, OrderedStep
from gateway.records.step import CREATES, event_of

__all__ = ["ORDER_DIALECT", "OrderMapping"]

AHEAD_MICROS: Final = 24 * 3600 * 1_000_000
"""How far ahead of the time of receipt a message may be dated; zones and clocks differ by less."""
MAX_GROUPS: Final = 200


@dataclass(slots=True)
class _Group:
    """An ORC with all that follows it up to the next one."""

    number: int
    segments: dict[str, list[Segment]]

    @property
    def place(self) -> str:
        return f"ORC[{self.number}]"


@dataclass(frozen=True, slots=True)
class _Context:
    """What holds for all levels of one group."""

    place: str
    number: int
    describes: bool
    """Must the message say all that a worklist item needs? A cancel need not repeat what it cancels."""
    trace: list[Trace] | None


class OrderMapping:
    """`order_to_worklist.yaml`, ready to be applied."""

    def __init__(self, file: MappingFile, settings: Settings) -> None:
        self._settings = settings
        self._rows = {
            level: [CompiledRow.of(row, file.codes(row)) for row in rows] for level, rows in file.rows.items()
        }

    def read(
        self,
        message: Message,
        *,
        received_at: int,
        trace: list[Trace] | None = None,
        settings: Settings | None = None,
    ) -> tuple[OrderedProcedure, ...]:
        """The orders of `message`, in its order.

        `received_at`: microseconds, for what the message does not date. `trace`, if given, collects the source of
        every value. Raises `Rejected` with the field's place.
        """
        settings = settings or self._settings
        zone = offset_of(message.timestamp)
        if zone is not None:
            settings = replace(settings, message_zone=zone)
        patient, groups = _split(message)
        read = [
            self._read_group(message, group, Scope(group.segments, patient, settings, received_at), trace)
            for group in groups
        ]
        return tuple(_merge(read)) if len(read) > 1 else tuple(read)

    def _read_group(self, message: Message, group: _Group, scope: Scope, trace: list[Trace] | None) -> OrderedProcedure:
        orc = group.segments["ORC"][0]
        control, status = stated(orc.leaf(1)).upper(), stated(orc.leaf(5)).upper()
        if not control:
            raise RequiredMissing("order control is empty", place=f"{group.place}-1")
        context = _Context(group.place, group.number, event_of(control, status) in CREATES, trace)
        sender = stated(message.sending_facility) or stated(message.sending_application) or scope.settings.source_name
        placer, filler = _number(scope, 2), _number(scope, 3)
        known = Known({}, sender, placer.value if placer else "", filler.value if filler else "", 0)

        patient, derived = self._level("patient", scope, known, context)
        order, more = self._level("order", scope, known, context)
        derived |= more
        if not (placer or filler or order.get("AccessionNumber")):
            raise RequiredMissing(
                "the order has no number: neither ORC-2, ORC-3 nor an accession number", place=f"{group.place}-2"
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
            control=control,
            status=status,
            event_at=_event_at(orc, group.place, message, scope),
            patient=patient,
            order=order,
            procedure=procedure,
            steps=tuple(OrderedStep(attributes) for attributes, _ in steps),
            authority=_issuer(order) or sender,
            sender=sender,
            placer=placer,
            filler=filler,
            # What any step says, the message says.
            derived=frozenset(derived | set.intersection(*(own for _, own in steps))),
        )

    def _level(self, name: str, scope: Scope, known: Known, context: _Context) -> tuple[Attributes, set[str]]:
        """The attributes of one level, and which of them are ours because the message has none."""
        result: Attributes = {}
        ours: set[str] = set()
        unsaid = scope.said.isdisjoint
        for compiled in self._rows[name]:
            row = compiled.row
            if compiled.fields is not None and unsaid(compiled.fields) and row.target not in INDISPENSABLE:
                continue
            try:
                found = value_of(compiled, scope)
            except GatewayError as error:
                error.place = _within(error.place, compiled, context)
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


def _split(message: Message) -> tuple[Mapping[str, Sequence[Segment]], list[_Group]]:
    """The patient's segments by name, and the order groups.

    A note belongs to what it follows (HL7 2.5.1 ch. 4.4.1): notes of the message and of observations are neither the
    patient's nor the order's.
    """
    patient: dict[str, list[Segment]] = {}
    groups: list[_Group] = []
    here, noted, pids = patient, "MSH", 0
    for segment in message.segments:
        name = segment.name
        if name == "ORC":
            # The order's own list of notes, even when empty: the patient's are not for it.
            here = {"NTE": []}
            groups.append(_Group(len(groups) + 1, here))
        elif name == "OBR" and not groups:
            raise Malformed("OBR stands before any ORC", place="OBR")
        elif name == "PID" and (pids := pids + 1) and (pids > 1 or groups):
            raise Malformed("send one message for each patient, its PID before the orders", place=f"PID[{pids}]")
        elif name == "NTE" and noted in ("MSH", "SFT", "OBX"):
            continue
        if name != "NTE":
            noted = name
        here.setdefault(name, []).append(segment)
    if "PID" not in patient:
        raise RequiredMissing("the message has no PID segment before its orders", place="PID")
    if not groups:
        raise RequiredMissing("the message has no ORC segment", place="ORC")
    if len(groups) > MAX_GROUPS:
        raise Malformed(f"the message has {len(groups)} orders; send at most {MAX_GROUPS} in one", place="ORC")
    if len(groups) > 1:
        _share_study(groups)
    return patient, groups


def _share_study(groups: list[_Group]) -> None:
    """IHE ends an ORM with one ZDS for all its ORC/OBR pairs: give it to those of the same Requested Procedure."""

    def procedure(group: _Group) -> tuple[str, ...]:
        return tuple(stated(obr.leaf(field)) for obr in group.segments.get("OBR", ())[:1] for field in (18, 19))

    owners = {procedure(group): group.segments["ZDS"] for group in groups if "ZDS" in group.segments}
    for group in groups:
        tie = procedure(group)
        if "ZDS" not in group.segments and any(tie) and tie in owners:
            group.segments["ZDS"] = owners[tie]


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


def _step_id(step: OrderedStep) -> str:
    return str(step.attributes["ScheduledProcedureStepID"])


def _with_protocols_of(step: OrderedStep, other: OrderedStep) -> OrderedStep:
    keyword = "ScheduledProtocolCodeSequence"
    codes = [*(step.attributes.get(keyword) or ()), *(other.attributes.get(keyword) or ())]
    unique: dict[Any, Attributes] = {tuple(sorted(code.items())): code for code in codes}
    return OrderedStep(step.attributes | {keyword: list(unique.values())}) if codes else step


def _number(scope: Scope, field: int) -> Number | None:
    """ORC-2 or ORC-3 (else OBR-2, OBR-3) with the authority that gave it, as far as the message says it."""
    for name in ("ORC", "OBR"):
        for segment in scope.order.get(name, ())[:1]:
            value = stated(segment.leaf(field))
            if value:
                return Number(value, stated(segment.leaf(field, 2)) or stated(segment.leaf(field, 3)))
    return None


def _issuer(order: Attributes) -> str:
    items = order.get("IssuerOfAccessionNumberSequence") or [{}]
    return str(items[0].get("LocalNamespaceEntityID") or items[0].get("UniversalEntityID") or "")


def _event_at(orc: Segment, place: str, message: Message, scope: Scope) -> int:
    """ORC-9, else MSH-7, else the time of receipt.

    A time far ahead is a slip of the sender's clock; taken at its word, it would make every later cancel stale.
    """
    said = _said_at(orc, place, message, scope)
    return said if said <= scope.received_at + AHEAD_MICROS else scope.received_at


def _said_at(orc: Segment, place: str, message: Message, scope: Scope) -> int:
    zone = scope.settings.message_zone or scope.settings.zone
    written = stated(orc.leaf(9))
    if written:
        try:
            return micros(parse_dtm(written, zone)[0])
        except GatewayError as error:
            raise InvalidValue(error.message, place=f"{place}-9") from error
    try:
        return micros(parse_dtm(stated(message.timestamp), zone)[0])
    except InvalidValue:
        return scope.received_at
