"""Which studies a source is asked for, and whether an answer is one of them: some servers ignore keys."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.journey.study_arrival.sources.stated import Values
from gateway.journey.study_arrival.sources.windows import Window

STUDY_DATE: Final = 0x00080020


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """`wanted`: tag -> value that a study must have, with wild cards (PS3.4 C.2.2.2.4); of UIDs several, with `\\`."""

    wanted: Mapping[int, str]

    @property
    def tags(self) -> Sequence[int]:
        return tuple(self.wanted)

    @property
    def keys(self) -> dict[str, str]:
        """As keys of C-FIND."""
        return {f"{tag:08X}": value for tag, value in self.wanted.items()}

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """As a query of QIDO-RS."""
        return [(f"{tag:08X}", value.replace("\\", ",")) for tag, value in self.wanted.items()]

    def admits(self, answer: Mapping[int, Values], window: Window | None = None) -> bool:
        """Whether an answer may be meant; one that does not state an attribute may."""
        dates = _values(answer, STUDY_DATE)
        if window is not None and dates and not _is_within(dates[0], window):
            return False
        return all(_matches(_values(answer, tag), value) for tag, value in self.wanted.items())


def _values(answer: Mapping[int, Values], tag: int) -> list[str]:
    attribute = answer.get(tag)
    return [] if attribute is None else [text for one in attribute.values if (text := one.strip(" \0"))]


def _is_within(day: str, window: Window) -> bool:
    digits = day.replace(".", "").replace("-", "")
    return f"{window.first:%Y%m%d}" <= digits <= f"{window.last:%Y%m%d}" if len(digits) == 8 else True


def _matches(values: Sequence[str], wanted: str) -> bool:
    # [ is no wild card of DICOM.
    patterns = [one.replace("[", "[[]").upper() for one in wanted.split("\\")]
    return not values or any(fnmatch.fnmatchcase(value.upper(), one) for value in values for one in patterns)
