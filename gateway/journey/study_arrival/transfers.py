"""What came over each association, counted by study, for the audit trail: an event when a study begins to come, and one
with the number of its instances when the association ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.records.arrival import InstanceArrival
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind, counted
from gateway.wire.dimse.policy import Caller

MOST_MICROS: Final = 600 * 1_000_000
"""An association that stays open is accounted for after so long."""


@dataclass(slots=True)
class _Transfer:
    began_at: int
    patient_id: str
    accession_number: str
    classes: Counter[str] = field(default_factory=Counter)
    new: int = 0


class Transfers:
    """`began` and `count` for each instance, `ended` with each association; events go to `note`."""

    def __init__(self, note: Callable[[AuditEvent], None]) -> None:
        self._note = note
        # By identity: two associations of a caller are equal otherwise.
        self._open: dict[int, tuple[Caller, dict[str, _Transfer]]] = {}

    def began(self, caller: Caller, arrival: InstanceArrival) -> AuditEvent | None:
        """The event of a study of which the association has brought nothing yet; recorded with the instance."""
        _, studies = self._open.setdefault(id(caller), (caller, {}))
        known = studies.get(arrival.study_uid)
        if known is not None and arrival.received_at - known.began_at < MOST_MICROS:
            return None
        if known is not None:
            self._note(_event(caller, arrival.study_uid, known, arrival.received_at))
        patient = str(arrival.study.get("PatientID") or "")
        made = _Transfer(arrival.received_at, patient, str(arrival.study.get("AccessionNumber") or ""))
        studies[arrival.study_uid] = made
        return AuditEvent(
            AuditKind.BEGINNING_TRANSFER, Action.EXECUTE, arrival.received_at, _sender(caller),
            patients=(patient,) if patient else (), studies=(arrival.study_uid,),
        )  # fmt: skip

    def count(self, caller: Caller, arrival: InstanceArrival, *, is_new: bool) -> None:
        """An instance is kept, or was here already."""
        _, studies = self._open.get(id(caller), (caller, {}))
        if (transfer := studies.get(arrival.study_uid)) is not None:
            transfer.classes[arrival.sop_class_uid] += 1
            transfer.new += is_new

    def ended(self, caller: Caller, now: int) -> None:
        """The association of `caller` has ended."""
        _, studies = self._open.pop(id(caller), (caller, {}))
        for study_uid, transfer in studies.items():
            self._note(_event(caller, study_uid, transfer, now))


def _sender(caller: Caller) -> Actor:
    return Actor(caller.calling_ae, ActorKind.ARCHIVE, caller.address)


def _event(caller: Caller, study_uid: str, transfer: _Transfer, now: int) -> AuditEvent:
    number = transfer.classes.total()
    note = f"{number} instances, {number - transfer.new} of them were here already"
    return AuditEvent(
        AuditKind.INSTANCES_TRANSFERRED, Action.CREATE if transfer.new else Action.READ, now, _sender(caller),
        patients=(transfer.patient_id,) if transfer.patient_id else (), studies=(study_uid,),
        accession_numbers=(transfer.accession_number,) if transfer.accession_number else (), note=note,
        detail={"instances": counted(transfer.classes)},
    )  # fmt: skip
