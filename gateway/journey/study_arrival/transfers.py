"""What came by each transfer (an association, a request), counted by study, for the audit trail: an event when a study
begins to come, and one with the number of its instances when the transfer ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.journey.study_arrival.incoming import Sender
from gateway.records.arrival import InstanceArrival
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind, counted

MOST_MICROS: Final = 600 * 1_000_000
"""A transfer that goes on is accounted for after so long."""


@dataclass(slots=True)
class _Transfer:
    began_at: int
    patient_id: str
    accession_number: str
    has_begun: bool = False
    """An instance has the event of the beginning."""
    classes: Counter[str] = field(default_factory=Counter)
    new: int = 0


class Transfers:
    """`began`, then `count` or `not_kept` for each instance, `ended` with each transfer; events go to `note`."""

    def __init__(self, note: Callable[[AuditEvent], None]) -> None:
        self._note = note
        self._open: dict[int, tuple[Sender, dict[str, _Transfer]]] = {}

    def began(self, sender: Sender, arrival: InstanceArrival) -> AuditEvent | None:
        """The event of a study of which the transfer has brought nothing yet; recorded with the instance."""
        _, studies = self._open.setdefault(id(sender.transfer), (sender, {}))
        known = studies.get(arrival.study_uid)
        if known is not None and arrival.received_at - known.began_at >= MOST_MICROS:
            self._note(_event(sender, arrival.study_uid, known, arrival.received_at))
            known = None
        patient = str(arrival.study.get("PatientID") or "")
        if known is None:
            known = _Transfer(arrival.received_at, patient, str(arrival.study.get("AccessionNumber") or ""))
            studies[arrival.study_uid] = known
        if known.has_begun:
            return None
        known.has_begun = True
        return AuditEvent(
            AuditKind.BEGINNING_TRANSFER, Action.EXECUTE, arrival.received_at, _actor(sender),
            patients=(patient,) if patient else (), studies=(arrival.study_uid,),
        )  # fmt: skip

    def not_kept(self, sender: Sender, arrival: InstanceArrival) -> None:
        """An instance that had the event of the beginning was taken back: the next has the event."""
        _, studies = self._open.get(id(sender.transfer), (sender, {}))
        if (transfer := studies.get(arrival.study_uid)) is not None:
            transfer.has_begun = False

    def count(self, sender: Sender, arrival: InstanceArrival, *, is_new: bool) -> None:
        """An instance is kept, or was here already."""
        _, studies = self._open.get(id(sender.transfer), (sender, {}))
        if (transfer := studies.get(arrival.study_uid)) is not None:
            transfer.classes[arrival.sop_class_uid] += 1
            transfer.new += is_new

    def ended(self, sender: Sender, now: int) -> None:
        """The transfer of `sender` has ended."""
        _, studies = self._open.pop(id(sender.transfer), (sender, {}))
        for study_uid, transfer in studies.items():
            if transfer.has_begun or transfer.classes:
                self._note(_event(sender, study_uid, transfer, now))


def _actor(sender: Sender) -> Actor:
    return Actor(sender.name, ActorKind.ARCHIVE, sender.address)


def _event(sender: Sender, study_uid: str, transfer: _Transfer, now: int) -> AuditEvent:
    number = transfer.classes.total()
    note = f"{number} instances, {number - transfer.new} of them were here already"
    return AuditEvent(
        AuditKind.INSTANCES_TRANSFERRED, Action.CREATE if transfer.new else Action.READ, now, _actor(sender),
        patients=(transfer.patient_id,) if transfer.patient_id else (), studies=(study_uid,),
        accession_numbers=(transfer.accession_number,) if transfer.accession_number else (), note=note,
        detail={"instances": counted(transfer.classes)},
    )  # fmt: skip
