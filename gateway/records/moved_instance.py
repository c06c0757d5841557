"""Instances that an archive moved to another study, or gave other UIDs: which of several copies counts.

An instance is known as the former of another by its SOP Instance UID under another Study Instance UID, and by the
UIDs that the other states in Original Attributes Sequence (0400,0561) (PS3.3 C.12.1.1.9).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.patient import Identity

MOST_FORMER: Final = 50
"""Items of one instance that are looked at; an archive adds an item each time that it changes the instance."""


class Former(NamedTuple):
    """UIDs that an instance had before one modification; empty: that modification left the UID as it was."""

    study_uid: str
    series_uid: str
    sop_uid: str


class MovedInstances(NamedTuple):
    """How many instances of one study are instances of another now."""

    study_uid: StudyInstanceUID
    """The other study."""
    instances: int
    at: int
    """When the last was known to be; microseconds."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An instance as it is kept in a study, beside others that may be the same instance."""

    row: int
    study_uid: str
    series_uid: str
    sop_uid: str
    patient: Identity
    """As the patient is called today."""
    received_at: int
    """When it came as it is kept; microseconds."""
    former: tuple[Former, ...] = ()
    counts: bool = True
    """It may take the place of others: it is not excluded, its study has settled and is not withdrawn."""

    def states(self, other: Copy) -> bool:
        """Whether it states the UIDs of `other` as its former ones."""
        if self.sop_uid != other.sop_uid:
            studies = {self.study_uid, *(one.study_uid for one in self.former)}
            return other.study_uid in studies and any(one.sop_uid == other.sop_uid for one in self.former)
        if self.study_uid != other.study_uid:
            return any(one.study_uid == other.study_uid for one in self.former)
        return any(one.series_uid == other.series_uid for one in self.former)

    def is_same(self, other: Copy) -> bool:
        """Whether the two are one instance, by what either states."""
        in_two_studies = self.sop_uid == other.sop_uid and self.study_uid != other.study_uid
        return in_two_studies or self.states(other) or other.states(self)

    @property
    def place(self) -> tuple[int, int, int]:
        """What copies are sorted by: who states more modifications is later, then who came later."""
        return len(self.former), self.received_at, self.row


@dataclass(frozen=True, slots=True)
class Moves:
    """What follows from copies of instances."""

    moved: Mapping[int, int]
    """Row of a copy that does not count any more -> row of the copy that does, where its chain ends."""
    refused: Sequence[tuple[Copy, Copy]]
    """(the later, the former) that name different patients: both stay."""


def moves_among(copies: Iterable[Copy]) -> Moves:
    """Which copy counts, whatever the order in which they are given.

    Of two that are one instance, the copy that states the other as its former counts; where both or none do, the copy
    that states more modifications, then the copy that came later. Copies of different patients both stay, also where
    they meet at the end of a chain, and of copies that state one another in a circle one always stays.
    """
    found = sorted(copies, key=lambda one: one.place)
    alike = _Alike(found)
    chains = _Chains(found)
    refused: list[tuple[Copy, Copy]] = []
    for former in found:
        takers = sorted(alike.of(former), key=lambda one: one.place, reverse=True)
        takers = [one for one in takers if _takes_the_place_of(one, former)]
        refused += [(one, former) for one in takers if not is_of_one_patient(one, former)]
        for one in takers:
            if one.counts and is_of_one_patient(one, former) and chains.join(former, one):
                break
    return Moves({one.row: end for one in found if (end := chains.end(one.row)) != one.row}, refused)


def is_of_one_patient(one: Copy, other: Copy) -> bool:
    """Whether both state the Patient ID, and the same."""
    return _is_one_patient({one.patient, other.patient})


def _is_one_patient(named: Collection[Identity]) -> bool:
    numbers, issuers = {one.patient_id for one in named}, {one.issuer for one in named} - {""}
    return len(numbers) == 1 and "" not in numbers and len(issuers) < 2


def _takes_the_place_of(one: Copy, former: Copy) -> bool:
    states, is_stated = one.states(former), former.states(one)
    return states if states != is_stated else one.place > former.place


class _Chains:
    """Where copies have come to, of which each takes the place of others."""

    def __init__(self, copies: Sequence[Copy]) -> None:
        self._next: dict[int, int] = {}
        self._patients = {one.row: {one.patient} for one in copies}

    def end(self, row: int) -> int:
        """The row of the copy that counts for a copy."""
        passed = []
        while row in self._next:
            passed.append(row)
            row = self._next[row]
        for one in passed:
            self._next[one] = row
        return row

    def join(self, former: Copy, later: Copy) -> bool:
        """Let what has come to `former` go on to where `later` has; False: that is `former`, or of another patient."""
        end = self.end(later.row)
        patients = self._patients[former.row] | self._patients[end]
        if end == former.row or not _is_one_patient(patients):
            return False
        self._next[former.row], self._patients[end] = end, patients
        return True


class _Alike:
    """Copies by what makes two of them one instance."""

    def __init__(self, copies: Sequence[Copy]) -> None:
        self._named: defaultdict[str, list[Copy]] = defaultdict(list)
        self._stating: defaultdict[str, list[Copy]] = defaultdict(list)
        for one in copies:
            self._named[one.sop_uid].append(one)
            for uid in {former.sop_uid for former in one.former} - {"", one.sop_uid}:
                self._stating[uid].append(one)

    def of(self, copy: Copy) -> Iterator[Copy]:
        """The copies that are the same instance as `copy` and may take its place."""
        for one in (*self._named[copy.sop_uid], *self._stating[copy.sop_uid]):
            if one.row != copy.row and one.is_same(copy):
                yield one
