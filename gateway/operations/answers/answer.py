"""What all answers of the API share: base class, moments, problems."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def iso(micros: int) -> str:
    """Microseconds since 1970 UTC -> `2026-01-05T09:30:00.000000Z`."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def _iso(value: Any) -> Any:
    return iso(value) if isinstance(value, int) else value


Moment = Annotated[
    str,
    BeforeValidator(_iso),
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", json_schema_extra={"format": "date-time"}),
]

Attributes = Annotated[dict[str, Any], Field(description="DICOM keyword -> value, values or items")]

Titles = Annotated[
    list[str],
    BeforeValidator(lambda value: [one for one in value.split("\\") if one] if isinstance(value, str) else value),
    Field(validation_alias="station_ae", description="Scheduled Station AE Titles; empty: every station"),
]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Finding(Answer):
    place: str
    text: str


class MayBePutAway(Answer):
    """What a person can put away, after which it calls for nobody."""

    put_away_at: Moment | None = Field(description="null: nobody has")
    put_away_by: str
    put_away_note: str


def listed(findings: Sequence[Finding]) -> str:
    """Findings behind a text, on its line."""
    return "".join(f"; {one.place}: {one.text}" if one.place else f"; {one.text}" for one in findings)


class Problem(Answer):
    message: str
    place: str = Field(description="Where: a parameter, a delivery, a component; may be empty")


class Failure(Answer):
    """What every answer of status 400 and above holds."""

    error: Problem


class Text(Answer):
    encoding: Literal["utf-8", "latin-1"] = Field(description="How the bytes were read for display")
    segments: list[str]
