"""Answers about turn-around times."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer


class Spread(Answer):
    """Of some lengths of time."""

    number: int
    median_seconds: float | None = Field(description="null: there is none")
    p90_seconds: float | None = Field(description="Nine of ten take no longer")


class Turnaround(Answer):
    name: str = Field(description="Modality, AE title or day; empty: not known")
    examinations: int
    order_to_exam: Spread = Field(
        description="From the order's first message to the examination, without those that began before it"
    )
    exam_to_ehr: Spread = Field(description="From the beginning of the examination until the first EHR took the study")


class TurnaroundFigures(Answer):
    first: str = Field(description="First day, YYYY-MM-DD")
    last: str = Field(description="Last day, this one too")
    whole: Turnaround
    by_modality: list[Turnaround]
    by_station: list[Turnaround]
    by_day: list[Turnaround]
    is_cut: bool = Field(description="There are more examinations; these are the newest")
