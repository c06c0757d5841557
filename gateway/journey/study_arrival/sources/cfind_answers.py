"""Answers to C-FIND, read by keyword, and answers of several levels laid over one another."""

from __future__ import annotations

from typing import Final

from pydicom.datadict import tag_for_keyword

from gateway.journey.study_arrival.sources.stated import count_of
from gateway.wire.dimse.identifier import Identifier, Key

_OF_THE_ANSWER: Final = (
    "SpecificCharacterSet", "QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability", "ModalitiesInStudy",
    "SOPClassesInStudy", "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries",
    "NumberOfPatientRelatedInstances", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
)  # fmt: skip
"""Attributes of a query, which no instance has (PS3.4 C.3.4)."""
_LEFT_OUT: Final = frozenset(tag for keyword in _OF_THE_ANSWER if (tag := tag_for_keyword(keyword)) is not None)


def values(answer: Identifier, keyword: str) -> tuple[str, ...]:
    """The values that are not empty."""
    tag = tag_for_keyword(keyword)
    key = answer.get(tag) if tag is not None else None
    return tuple(filter(None, key.values)) if key is not None else ()


def value(answer: Identifier, keyword: str) -> str:
    """The first value; empty: there is none."""
    return next(iter(values(answer, keyword)), "")


def number(answer: Identifier, keyword: str) -> int | None:
    """A number that is not negative; None where none is stated, which is not 0."""
    return count_of(value(answer, keyword))


def laid_over(*answers: Identifier) -> dict[int, Key]:
    """The elements of an instance: of its study, its series and itself, the last that has a value counts."""
    elements: dict[int, Key] = {}
    for answer in answers:
        for tag, key in answer.items():
            if tag not in _LEFT_OUT and (any(key.values) or key.items):
                elements[tag] = key
    return elements
