"""The parts of a message: which segments speak of the patient and which of each order, result or appointment.

Segments are taken by position, as the abstract syntax of ORM_O01 and its kin has them: what stands before the first
order is the patient's, each ORC opens a group of its own. A note belongs to what it follows (HL7 2.5.1 ch. 4.4.1):
notes of the message and of observations are neither the patient's nor the order's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.errors import Malformed, Place, RequiredMissing
from gateway.mapping.orders.scope import ReadableMessage, ReadableSegment, stated

Segments = dict[str, list[ReadableSegment]]
MAX_GROUPS: Final = 200
_PATIENT: Final = frozenset({
    "PID", "PD1", "PV1", "PV2", "GSP", "GSR", "GSC", "ARV", "OH1", "OH2", "OH3", "OH4",
})  # fmt: skip
_UNNOTED: Final = ("MSH", "OBX")
"""Segments whose notes are of no use to a worklist."""
_TRANSPARENT: Final = frozenset({"SFT", "UAC", "ARV", "PRT"})
"""Segments that stand between a segment and its notes (HL7 2.9)."""


@dataclass(slots=True)
class Group:
    """An order, result or appointment: the segments from the one that opens it to the next that does."""

    number: int
    opened_by: str
    segments: Segments

    @property
    def place(self) -> Place:
        """The segment that opens the group."""
        return _place_of(self.opened_by, self.number)


@lru_cache(maxsize=64)
def _place_of(opened_by: str, number: int) -> Place:
    return Place(opened_by, sequence=number)


def order_groups(message: ReadableMessage) -> tuple[Segments, list[Group]]:
    """ORM_O01, OMG_O19, OMI_O23: the patient's segments, and a group for each ORC.

    What OMG_O19 tells of earlier results (a PID after the order) is not ordered. Raises `Malformed` and
    `RequiredMissing`.
    """
    patient: Segments = {}
    groups: list[Group] = []
    for name, segment in _noted(message):
        if name == "ORC":
            # The order's own list of notes, even when empty: the patient's are not for it.
            groups.append(Group(len(groups) + 1, "ORC", {"NTE": []}))
        elif name == "OBR" and not groups:
            raise Malformed("OBR stands before any ORC", place=Place("OBR"))
        elif name == "PID" and groups and message.type == "OMG":
            break
        elif name == "PID" and ("PID" in patient or groups):
            raise Malformed("send one message for each patient, its PID before the orders", place=_late(patient))
        (groups[-1].segments if groups else patient).setdefault(name, []).append(segment)
    _check(groups, "ORC")
    if len(groups) > 1:
        _share_study(groups)
    return patient, groups


def result_groups(message: ReadableMessage) -> tuple[Segments, list[Group]]:
    """ORU_R01: the patient's segments, and a group for each OBR with the ORC before it, if there is one."""
    patient: Segments = {}
    groups: list[Group] = []
    for name, segment in _noted(message):
        if name == "ORC" or (name == "OBR" and not (groups and "OBR" not in groups[-1].segments)):
            groups.append(Group(len(groups) + 1, name, {"NTE": []}))
        elif name == "PID" and ("PID" in patient or groups):
            raise Malformed("send one message for each patient, its PID before the results", place=_late(patient))
        (groups[-1].segments if groups else patient).setdefault(name, []).append(segment)
    _check(groups, "OBR")
    return patient, groups


def appointment_groups(message: ReadableMessage) -> tuple[Segments, list[Group]]:
    """SIU_S12: SCH stands before PID, its resources (AIS, AIG, AIL, AIP) after it; one group."""
    patient: Segments = {}
    group = Group(1, "SCH", {})
    for name, segment in _noted(message):
        (patient if name in _PATIENT else group.segments).setdefault(name, []).append(segment)
    _check([group] if "SCH" in group.segments else [], "SCH")
    return patient, [group]


def patient_groups(message: ReadableMessage) -> list[Segments]:
    """ADT: a group for each PID, each with the EVN of the message; ADT_A39 (A40) has several, each with its MRG."""
    shared: Segments = {}
    groups: list[Segments] = []
    for name, segment in _noted(message):
        if name == "PID":
            groups.append({key: list(value) for key, value in shared.items()})
        (groups[-1] if groups else shared).setdefault(name, []).append(segment)
    if not groups:
        raise RequiredMissing("the message has no PID segment", place=Place("PID"))
    _bounded(len(groups), "PID")
    return groups


def _noted(message: ReadableMessage) -> Iterator[tuple[str, ReadableSegment]]:
    """The segments by name, without notes of the message and of observations."""
    noted = "MSH"
    for segment in message.segments:
        name = segment.name
        if name == "NTE":
            if noted in _UNNOTED:
                continue
        elif name not in _TRANSPARENT:
            noted = name
        yield name, segment


def _late(patient: Segments) -> Place:
    return Place("PID", sequence=2 if "PID" in patient else 1)


def _check(groups: list[Group], opens: str) -> None:
    if not groups:
        raise RequiredMissing(f"the message has no {opens} segment", place=Place(opens))
    _bounded(len(groups), opens)


def _bounded(number: int, opens: str) -> None:
    if number > MAX_GROUPS:
        raise Malformed(
            f"the message has {number} {opens} groups; send at most {MAX_GROUPS} in one", place=Place(opens)
        )


def _share_study(groups: Iterable[Group]) -> None:
    """IHE ends an ORM with one ZDS for all its ORC/OBR pairs: give it to those of the same Requested Procedure."""

    def procedure(group: Group) -> tuple[str, ...]:
        return tuple(stated(obr.leaf(field)) for obr in group.segments.get("OBR", ())[:1] for field in (18, 19))

    groups = list(groups)
    owners = {procedure(group): group.segments["ZDS"] for group in groups if "ZDS" in group.segments}
    for group in groups:
        tie = procedure(group)
        if "ZDS" not in group.segments and any(tie) and tie in owners:
            group.segments["ZDS"] = owners[tie]
