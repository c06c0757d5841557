"""Sources of studies that are asked: what they list, and how far they were listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.records.identifiers import StudyInstanceUID


@dataclass(frozen=True, slots=True)
class ListedStudy:
    """A study as a source lists it."""

    study_uid: StudyInstanceUID
    state: str = ""
    """What the source states of it that changes with the study, such as its counts; empty: it states nothing."""
    instances: int | None = None
    """Number of Study Related Instances (0020,1208); None: the source does not state it."""
    identity: str = ""
    """The end of `state` that no growth changes, but a correction at the source does; empty: there is none."""
    key: str = ""
    """How the source itself names the study; empty: by its UID."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a source was listed: `reached` of `target`, a day or a number, as people read it."""

    cursor: Mapping[str, Any] = field(default_factory=dict)
    """Where the next poll goes on, in the terms of the source; JSON."""
    reached: str = ""
    target: str = ""
    is_behind: bool = False
    """There is more to list at once."""
    note: str = ""
    """What the source cannot do, and what follows from that."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of what a source lists."""

    studies: Sequence[ListedStudy]
    watermark: Watermark | None = None
    """Where the source was listed to with this page; None: the watermark stays."""
    dropped: int = 0
    """Answers that the question excludes."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known of a source between two polls. Moments in microseconds."""

    source: str
    watermark: Watermark = field(default_factory=Watermark)
    polled_at: int | None = None
    """When a poll came to its end last."""
    failed_at: int | None = None
    """Since when polls fail."""
    error: str = ""
    listed: int = 0
    """Studies in all answers of all polls."""
    wanted: int = 0
    """Those of them that were new or changed."""
    dropped: int = 0
