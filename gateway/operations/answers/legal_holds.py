"""Answers about legal holds."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.records.legal_hold import HoldOn


class LegalHoldShown(Answer):
    """A hold that is in force, or was."""

    id: int
    subject: HoldOn
    value: str = Field(description="Patient ID or accession number")
    issuer: str = Field(description="Of the Patient ID; empty: whoever gave it")
    person: str
    note: str
    held_at: Moment
    released_at: Moment | None
    released_by: str
    release_note: str


class LegalHolds(Answer):
    holds: list[LegalHoldShown]


class LegalHoldChanged(Answer):
    subject: HoldOn
    value: str
    issuer: str
    in_force: bool
