"""What is read of an instance: the attributes of its study, series and instance, whatever source it came by."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.errors import InvalidValue, Malformed, RequiredMissing
from gateway.journey.study_arrival.incoming import Incoming
from gateway.mapping.elements import lacking, of_levels, surplus
from gateway.mapping.former_uids import ORIGINAL, former_uids
from gateway.mapping.frames import tags_for
from gateway.records.arrival import InstanceArrival
from gateway.records.finding import Finding
from gateway.records.identifiers import (
    LONGEST_LOOKED_FOR,
    SeriesInstanceUID,
    SOPInstanceUID,
    StudyInstanceUID,
    looked_for,
)
from gateway.records.order import Attributes
from gateway.records.study_search import KEPT, SearchLevel
from gateway.wire.dimse.broken_header import SERIES_UID, STUDY_UID, readable_header
from gateway.wire.dimse.header import read_elements, split_header
from gateway.wire.dimse.identifier import Identifier

log = logging.getLogger(__name__)

NAMES: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""Attributes without which an instance cannot be kept."""
UP_TO_THERE: Final = "the header is kept up to there"
FROM_THE_UIDS: Final = ", and from Study Instance UID on"
LEVELS: Final = ("study", "series", "instance")

ALWAYS: Final = {
    "study": KEPT[SearchLevel.STUDY],
    "series": KEPT[SearchLevel.SERIES],
    "instance": KEPT[SearchLevel.INSTANCE] | {"PatientID", "IssuerOfPatientID"},
}
"""Kept at each level whatever the mapping reads."""


class InstanceReader:
    """`keywords`: per level (study, series, instance) the attributes that the study mapping reads."""

    def __init__(self, keywords: Mapping[str, Collection[str]]) -> None:
        self.adopt(keywords)

    def adopt(self, keywords: Mapping[str, Collection[str]]) -> None:
        """Read these attributes, per level, from now on, beside those always read."""
        self._keywords = {level: sorted(ALWAYS[level].union(keywords[level])) for level in ALWAYS}
        self._tags = tags_for(frozenset(NAMES).union(*self._keywords.values())) | {ORIGINAL}

    def read(self, incoming: Incoming, now: int, header: bytes | None = None) -> InstanceArrival:
        """`header`: what `split_header` gives of it; None: not split from its pixels yet.

        Raises `Malformed` for a broken data set, `RequiredMissing` without its UIDs, and `InvalidValue` for another
        instance than was announced.
        """
        header, elements, findings, is_whole = _header_of(incoming, header, self._tags)
        levels = of_levels(elements, self._keywords)
        if not is_whole and incoming.sop_instance_uid:
            levels["instance"].setdefault("SOPInstanceUID", incoming.sop_instance_uid)
        study_uid, series_uid, sop_uid = _uids(incoming, levels)
        sop_class_uid = incoming.sop_class_uid or str(levels["instance"].get("SOPClassUID") or "")
        if not sop_class_uid:
            raise RequiredMissing("SOPClassUID is missing")
        required = lacking(levels)
        levels["instance"].setdefault("SOPClassUID", sop_class_uid)
        return InstanceArrival(
            study_uid=StudyInstanceUID(study_uid),
            study=levels["study"],
            series_uid=SeriesInstanceUID(series_uid),
            series=levels["series"],
            sop_uid=SOPInstanceUID(sop_uid),
            sop_class_uid=sop_class_uid,
            instance=levels["instance"],
            transfer_syntax_uid=incoming.transfer_syntax_uid,
            header=zlib.compress(header, 1),
            digest=hashlib.sha256(header).digest(),
            source_ae=incoming.sender.name,
            received_at=now,
            rank=incoming.rank,
            findings=(*findings, *surplus(elements), *required),
            former=former_uids(elements),
        )

    def read_again(
        self, headers: Sequence[tuple[int, bytes, str, bytes]]
    ) -> dict[int, tuple[bytes, dict[str, Attributes]]]:
        """Row of the instance -> digest, and what it says at each level, of kept headers: (row, digest, transfer
        syntax, header)."""
        read = {}
        for one, digest, syntax, header in headers:
            read[one] = digest, of_levels(read_elements(header, syntax, self._tags, faults=[]), self._keywords)
        return read


class _Header(NamedTuple):
    """What could be read of a header."""

    encoded: bytes
    elements: Identifier
    findings: tuple[Finding, ...]
    is_whole: bool


def _header_of(incoming: Incoming, header: bytes | None, tags: Collection[int]) -> _Header:
    """The header of an instance (None: not split from its pixels yet), and the elements `tags` of it.

    Of a broken header what stands before the fault, and from the UIDs of study and series on, if these can be read; of
    a broken attribute the others.
    """
    data, at, syntax = incoming.data, incoming.begins_at, incoming.transfer_syntax_uid
    unread: list[Malformed] = []
    faults: list[tuple[Malformed, str]] = []
    is_whole = True
    try:
        header = split_header(data, syntax, begins_at=at) if header is None else header
        elements = read_elements(header, syntax, tags, unread)
    except Malformed as error:
        is_whole = False
        unread.clear()
        try:
            header, goes_on = readable_header(data, syntax, begins_at=at)
            elements = read_elements(header, syntax, tags, unread)
        except Malformed:
            raise error from None
        if not all(tag in elements and any(elements[tag].values) for tag in (STUDY_UID, SERIES_UID)):
            raise
        faults.append((error, UP_TO_THERE + (FROM_THE_UIDS if goes_on else "")))
    faults += [(fault, "the attribute is left out") for fault in unread]
    for fault, rest in faults:
        log.warning("an instance from %s: %s %s; %s", incoming.sender.name, fault.place, fault.message, rest)
    findings = tuple(Finding(fault.place, f"{fault.message}; {rest}") for fault, rest in faults)
    return _Header(header, elements, findings, is_whole)


def _uids(incoming: Incoming, levels: Mapping[str, Attributes]) -> tuple[str, str, str]:
    """Of study, series and instance. Raises `RequiredMissing` without them, `InvalidValue` for another instance and for
    what no UID can be."""
    # Under another VR than UI an attribute may hold items.
    study, series, instance = (
        uid if isinstance(uid := levels[level].get(keyword), str) else ""
        for level, keyword in zip(LEVELS, NAMES, strict=True)
    )
    for keyword, uid in zip(NAMES, (study, series, instance), strict=True):
        if not uid:
            raise RequiredMissing(f"{keyword} is missing")
        if not looked_for(uid):
            raise InvalidValue(f"{keyword} has more than {LONGEST_LOOKED_FOR} characters")
    for keyword, stated, announced in (
        ("StudyInstanceUID", study, incoming.study_instance_uid),
        ("SOPInstanceUID", instance, incoming.sop_instance_uid),
        ("SOPClassUID", str(levels["instance"].get("SOPClassUID") or ""), incoming.sop_class_uid),
    ):
        if announced and stated and stated != announced:
            raise InvalidValue(f"{keyword} is not the one of the request")
    return study, series, instance
