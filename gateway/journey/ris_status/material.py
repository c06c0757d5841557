"""What a status is made of: the order as it stands, and the RIS's own message that ordered it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection

from gateway.errors import GatewayError, NeedsPerson
from gateway.mapping.orders.groups import Group, Segments, order_groups
from gateway.mapping.orders.scope import Scope
from gateway.mapping.orders.settings import Settings
from gateway.mapping.status.scope import StatusScope
from gateway.records.imaging_order import Order, Procedure, Step
from gateway.records.order import Attributes
from gateway.records.status import Status
from gateway.store import newest_messages, patients
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.segment import Segment

ReadMessage = Callable[[bytes, str], Message | None]
"""The bytes of a kept message and the name of its listener -> the message, None for what is none."""
PerformedOf = frozenset[tuple[str, str]]
"""Study Instance UID and Scheduled Procedure Step ID of the steps that were performed."""


@dataclass(frozen=True, slots=True)
class _Ordering:
    """The RIS's own message, in parts."""

    patient: Segments
    groups: Sequence[Group]


class Materials:
    """Gathers what statuses are made of. `read_message`: by the rules of the sender; `settings`: those of the site."""

    def __init__(self, read_message: ReadMessage, settings: Settings) -> None:
        self._read_message = read_message
        self._settings = settings

    @property
    def zone(self) -> tzinfo:
        """Of all times that are written."""
        return self._settings.zone

    def scopes(
        self, connection: Connection, status: Status, order: Order, performed: Attributes, steps: PerformedOf
    ) -> list[list[StatusScope]]:
        """The performed steps of the order, by Requested Procedure: all of an order whose steps have got other numbers
        since. Raises `NeedsPerson` when it has none."""
        patient = None if order.patient is None else patients.get(connection, order.patient)
        of_patient: Attributes = dict(patient["attributes"]) if patient is not None else {}
        ordering = self._ordering(connection, order, of_patient)
        scopes = [
            [
                StatusScope(
                    {**of_patient, **order.attributes, **procedure.attributes, **step.attributes},
                    performed,
                    _facts(status, self.zone),
                    {"order.placer": order.placer, "order.filler": order.filler},
                    self._of_step(ordering, order, procedure, step),
                )
                for step in procedure.steps
                if not steps or (procedure.study_uid, step.step_id) in steps
            ]
            for procedure in order.procedures
        ]
        found = [of_procedure for of_procedure in scopes if of_procedure]
        if not found and not steps:
            raise NeedsPerson("the order has no scheduled step any more")
        return found or self.scopes(connection, status, order, performed, frozenset())

    def _ordering(self, connection: Connection, order: Order, patient: Attributes) -> _Ordering | None:
        """The newest message that ordered or changed the order, with a PID that names the patient as of today."""
        if order.row is None:
            return None
        for row in newest_messages.ordering(connection, order.row):
            message = self._read_message(row["body"], row["listener"])
            try:
                of_patient, groups = order_groups(message) if message is not None else ({}, [])
            except GatewayError:
                continue
            if groups:
                newer = self._newer_patient(connection, order, row["received_at"])
                return _Ordering(_with_patient(of_patient, newer, str(patient.get("PatientID", ""))), groups)
        return None

    def _newer_patient(self, connection: Connection, order: Order, since: int) -> Message | None:
        row = None if order.patient is None else newest_messages.of_patient(connection, order.patient)
        if row is None or row["received_at"] < since:
            return None
        return self._read_message(row["body"], row["listener"])

    def _of_step(self, ordering: _Ordering | None, order: Order, procedure: Procedure, step: Step) -> Scope | None:
        group = None if ordering is None else _group_of(ordering.groups, order, procedure, step)
        if ordering is None or group is None:
            return None
        segments: Mapping[str, Sequence[Segment]] = {**group.segments, "IPC": _own_ipc(group, step)}  # type: ignore[dict-item]
        return Scope(segments, ordering.patient, self._settings, 0)


def _with_patient(segments: Segments, newer: Message | None, patient_id: str) -> Segments:
    """The patient's segments, with the PID that names the patient by today's Patient ID: that of a newer ADT, else the
    order's own, else none."""
    pid = [
        *((one for one in newer.segments if one.name == "PID") if newer is not None else ()),
        *segments.get("PID", ()),
    ]
    named = next((one for one in pid if _names(one, patient_id)), None)
    return {**segments, "PID": [named] if named is not None else []}


def _names(pid: Any, patient_id: str) -> bool:
    return any(one[0][0].strip() == patient_id for one in pid.repetitions(3) if one and one[0])


def _group_of(groups: Sequence[Group], order: Order, procedure: Procedure, step: Step) -> Group | None:
    """The group of the message that ordered a step; None where no number says which did."""
    if len(groups) == 1:
        return groups[0]
    scored = [(_score(group, order, procedure, step), group) for group in groups]
    best = max(score for score, _ in scored)
    return next((group for score, group in scored if score == best), None) if best else None


def _score(group: Group, order: Order, procedure: Procedure, step: Step) -> int:
    """How well the numbers of a group fit: a step's number says more than a procedure's, that more than an order's."""
    wanted = (
        (8, step.step_id, (("OBR", 20), ("IPC", 4))),
        (4, procedure.study_uid, (("ZDS", 1), ("IPC", 3))),
        (2, str(procedure.attributes.get("RequestedProcedureID", "")), (("OBR", 19), ("IPC", 2))),
        (1, order.placer.value, (("ORC", 2), ("OBR", 2))),
        (1, order.filler.value, (("ORC", 3), ("OBR", 3))),
    )
    return sum(
        weight
        for weight, number, places in wanted
        if number and any(number in _leaves(group.segments.get(name, ()), field) for name, field in places)
    )


def _leaves(segments: Iterable[Any], field: int) -> set[str]:
    return {segment.leaf(field).strip() for segment in segments}


def _own_ipc(group: Group, step: Step) -> list[Any]:
    """The IPC of the step alone, where the group has one for each of several."""
    every: list[Any] = list(group.segments.get("IPC", ()))
    own = [one for one in every if one.leaf(4).strip() == step.step_id]
    return own or (every if len(every) == 1 else [])


def _facts(status: Status, zone: tzinfo) -> dict[str, str]:
    at = datetime.fromtimestamp(status.at / 1e6, UTC).astimezone(zone)
    return {
        "status.order": status.progress.value,
        "status.event": status.event.value,
        "status.at": f"{at:%Y%m%d%H%M%S%z}",
        "status.number": "1",
    }
