"""Answers about why a study has settled or waits, and what is stated of how much it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.records.completeness import Decision, Evidence, EvidenceKind, Reason

_NAMES: Final[Mapping[EvidenceKind, str]] = {
    EvidenceKind.MPPS_COMPLETED: "MPPS names",
    EvidenceKind.MPPS_DISCONTINUED: "a discontinued MPPS names",
    EvidenceKind.AVAILABILITY: "a notification of availability names",
    EvidenceKind.ARCHIVE_COUNTS: "an archive counts",
    EvidenceKind.EXPECTED_IMAGES: "were expected",
    EvidenceKind.COMMITMENT: "a request for storage commitment names",
}
_FORMS: Final[Mapping[Reason, str]] = {
    Reason.ASKED: "a person asked for it",
    Reason.CHANGED: "something else of it had changed",
    Reason.EVIDENCE: "all {stated} {unit} that {names} were here",
    Reason.LONGEST_WAIT: "it had waited the longest time{without}",
    Reason.LACKING: "waiting for {missing} of {stated} {unit} that {names}",
    Reason.QUIET: "no image came for its quiet time",
    Reason.ARRIVING: "waiting for more images",
}


def text_of(decision: Decision) -> str:
    """Why a study has settled, or what it waits for."""
    names = _NAMES[decision.kind] if decision.kind is not None else ""
    unit = "series" if decision.of_series else "images"
    without = f", without {decision.missing} of {decision.stated} {unit} that {names}" if decision.missing else ""
    return _FORMS[decision.reason].format(
        stated=decision.stated, missing=decision.missing, unit=unit, names=names, without=without
    )


class Completeness(Answer):
    """Why a study has settled, or what it waits for."""

    reason: Reason
    kind: EvidenceKind | None = Field(description="Of the evidence that decides, or of which something is missing")
    stated: int = Field(description="How many images, or series, the evidence states")
    missing: int = Field(description="How many of these are not here")
    text: str = Field(description="The same in words")

    @classmethod
    def of(cls, decision: Decision) -> Self:
        return cls(
            reason=decision.reason, kind=decision.kind, stated=decision.stated, missing=decision.missing,
            text=text_of(decision),
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: Mapping[str, Any] | None) -> Self | None:
        """Of what the store keeps of a settlement; None where it keeps nothing."""
        return None if row is None else cls.of(Decision.of_row(row))


class StatedOfStudy(Answer):
    """A piece of evidence."""

    kind: EvidenceKind
    source: str = Field(description="The UID of the performed step, notification or transaction; an archive's name")
    stated_at: Moment
    named: int = Field(description="How many SOP Instance UIDs it names")
    series: int | None = Field(description="How many series it states; null: it does not")
    instances: int | None = Field(description="How many instances it states; null: it does not")

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        values = {"named": len(evidence.sop_uids), "series": evidence.series, "instances": evidence.instances}
        return cls.model_validate(
            {"kind": evidence.kind, "source": evidence.source, "stated_at": evidence.stated_at, **values}
        )
