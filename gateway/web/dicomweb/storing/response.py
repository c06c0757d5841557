"""What is answered to a Store (PS3.18 10.5.3, Annex I): each instance with what became of it, and one status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import (
    Malformed,
    Rejected,
    SyntaxNotAcceptedError,
    TooLarge,
    Unavailable,
    UnsupportedType,
)
from gateway.long_work import with_pauses
from gateway.web.dicomweb.study_addresses import address_of
from gateway.wire.dicomweb.dataset import Attribute, Dataset

STORED: Final = 0x0000
REASONS: Final = (
    (Unavailable, 0xA700),  # Refused: out of resources
    (TooLarge, 0xA700),
    (SyntaxNotAcceptedError, 0xC122),  # Referenced Transfer Syntax not supported
    (UnsupportedType, 0x0122),  # SOP Class not supported
    (Malformed, 0xC000),  # Error: cannot understand
    (Rejected, 0xA900),  # Error: the data set does not match the SOP class, or the request
    (Exception, 0x0110),  # Processing failure
)
"""Error -> Failure Reason (PS3.18 Table I.2-2, PS3.4 Table B.2-1); the first row that fits counts."""
_REFERENCED, _FAILED, _OTHER = 0x00081199, 0x00081198, 0x0008119A
_CLASS, _INSTANCE, _REASON, _URL = 0x00081150, 0x00081155, 0x00081197, 0x00081190


class UnsupportedMedia(UnsupportedType):
    """A part of another media type than instances, metadata and bulk data have."""


STATUSES: Final = ((Unavailable, 503), (TooLarge, 413), (UnsupportedMedia, 415))
"""Status where nothing was stored and all failed for one cause; for any other it is a conflict."""
_CONFLICT, _ALL, _SOME = 409, 200, 202


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an instance, or of a part that is none: its UIDs are empty then."""

    sop_class_uid: str = ""
    sop_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    error: Exception | None = None
    """None: it is safe on disk."""


def reason_of(error: Exception | None) -> int:
    """Failure Reason (0008,1197); 0000 for what is stored."""
    return STORED if error is None else next(reason for kind, reason in REASONS if isinstance(error, kind))


def reason_text(error: Exception | None) -> str:
    """As people read it."""
    return f"{reason_of(error):04X}"


def status_of(outcomes: Sequence[Outcome]) -> int:
    """The HTTP status (PS3.18 Table 10.5.3-1)."""
    errors = [one.error for one in outcomes if one.error is not None]
    if len(errors) < len(outcomes):
        return _SOME if errors else _ALL
    return next((status for kind, status in STATUSES if all(isinstance(one, kind) for one in errors)), _CONFLICT)


def response_module(outcomes: Sequence[Outcome], studies: str = "") -> Dataset:
    """The Store Instances Response Module (PS3.18 Table I.1-1). `studies`: the address below which studies are
    retrieved; empty: they are not."""
    kept = [_item(one, studies) for one in with_pauses(outcomes) if one.error is None]
    failed = [_item(one) for one in with_pauses(outcomes) if one.error is not None and one.sop_uid]
    others = [_reason(one) for one in with_pauses(outcomes) if one.error is not None and not one.sop_uid]
    of_study = {one.study_uid for one in outcomes if one.error is None}
    url = _text(_URL, "UR", address_of(studies, of_study.pop())) if studies and len(of_study) == 1 else {}
    return {**url, **_sequence(_FAILED, failed), **_sequence(_REFERENCED, kept), **_sequence(_OTHER, others)}


def _item(one: Outcome, studies: str = "") -> Dataset:
    uids = {**_text(_CLASS, "UI", one.sop_class_uid), **_text(_INSTANCE, "UI", one.sop_uid)}
    if one.error is not None:
        return {**uids, **_reason(one)}
    if not studies:
        return uids
    return {**uids, **_text(_URL, "UR", address_of(studies, one.study_uid, one.series_uid, one.sop_uid))}


def _reason(one: Outcome) -> Dataset:
    return _text(_REASON, "US", str(reason_of(one.error)))


def _text(tag: int, vr: str, value: str) -> Dataset:
    return {tag: Attribute(tag, vr, (value,))}


def _sequence(tag: int, items: Iterable[Dataset]) -> Dataset:
    return {tag: Attribute(tag, "SQ", items=tuple(items))} if items else {}
