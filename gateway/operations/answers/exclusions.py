"""Answers about series and instances that are excluded from their study."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.records.exclusion import ExcludedLevel, Exclusion
from gateway.records.identifiers import StudyInstanceUID


class ExclusionDecision(Answer):
    person: str
    note: str
    at: Moment


class StudyExclusion(Answer):
    uid: str = Field(description="Series or SOP Instance UID")
    level: ExcludedLevel
    begun: ExclusionDecision
    ended: ExclusionDecision | None = Field(description="null: it is in force")

    @classmethod
    def of(cls, exclusion: Exclusion) -> StudyExclusion:
        """The answer about an exclusion."""
        part = exclusion.part
        decisions = {"begun": exclusion.begun, "ended": exclusion.ended}
        return cls.model_validate({"uid": part.uid, "level": part.level, **decisions}, from_attributes=True)


class ExclusionChanged(Answer):
    study_uid: StudyInstanceUID
    uid: str = Field(description="Series or SOP Instance UID")
    level: ExcludedLevel
    excluded: bool
    changed: bool = Field(description="false: it was so already, and nothing was done")
    instances: int = Field(description="Of the study, that are not excluded")

    def __str__(self) -> str:
        """For people."""
        state = "is excluded" if self.excluded else "counts"
        if not self.changed:
            return f"{self.level} {self.uid} {state} already, nothing was done"
        return f"{self.level} {self.uid} {state} now; {self.instances} instances of study {self.study_uid} count"
