"""What is left of a study after Key Object Selections and people have rejected parts of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.rejection import EXPIRED, KEY_OBJECT_SELECTION, standing
from gateway.records.study import Instance, Series, Study

CT = "1.2.840.10008.5.1.4.1.1.2"
SERIES = Series("1.1", {}, tuple(Instance(f"1.1.{number}", CT, {}) for number in range(3)))
OTHER = Series("1.2", {}, (Instance("1.2.0", CT, {}),))


def note(title: str, *rejected: str, scheme: str = "DCM", sop_class: str = KEY_OBJECT_SELECTION) -> Series:
    references = [{"ReferencedSOPInstanceUID": uid} for uid in rejected]
    attributes: dict[str, Any] = {
        "ConceptNameCodeSequence": [{"CodeValue": title, "CodingSchemeDesignator": scheme}],
        "CurrentRequestedProcedureEvidenceSequence": [
            {"ReferencedSeriesSequence": [{"ReferencedSOPSequence": references}]}
        ],
    }
    return Series("1.9", {}, (Instance("1.9.1", sop_class, attributes),))


def study(*notes: Series) -> Study:
    return Study(StudyInstanceUID("1"), {}, (SERIES, OTHER, *notes))


def uids(left: Study) -> list[str]:
    return [one.uid for series in left.series for one in series.instances]


ALL = ["1.1.0", "1.1.1", "1.1.2", "1.2.0"]


@pytest.mark.parametrize("title", ["113001", "113037", "113038"])
def test_what_a_note_rejects_does_not_count_nor_does_the_note(title: str) -> None:
    left = standing(study(note(title, "1.1.1", "1.2.0")))
    assert uids(left.study) == ["1.1.0", "1.1.2"]
    assert [series.uid for series in left.study.series] == ["1.1"], "an empty series is gone too"
    assert (left.entered_in_error, left.retrievable) == (False, True)


def test_a_study_of_which_nothing_is_left_was_entered_in_error() -> None:
    left = standing(study(note("113038", *ALL)))
    assert (uids(left.study), left.entered_in_error, left.retrievable) == ([], True, False)


def test_what_has_expired_is_of_the_study_and_cannot_be_retrieved() -> None:
    for gone, retrievable in ((ALL[:2], True), (ALL, False)):
        left = standing(study(note(EXPIRED, *gone)))
        assert (uids(left.study), left.entered_in_error, left.retrievable) == (ALL, False, retrievable)


@pytest.mark.parametrize(
    "other",
    [
        note("113000", "1.1.1"),
        note("113001", "1.1.1", scheme="99LOCAL"),
        note("113001", "1.1.1", sop_class=CT),
        Series("1.9", {}, (Instance("1.9.1", KEY_OBJECT_SELECTION, {}),)),
    ],
)
def test_other_key_objects_reject_nothing(other: Series) -> None:
    left = standing(study(other))
    assert uids(left.study) == [*ALL, "1.9.1"]
    assert not left.entered_in_error


def test_several_notes_add_up() -> None:
    second = replace(note("113037", "1.2.0"), uid="1.8")
    assert uids(standing(study(note("113001", "1.1.0"), second)).study) == ["1.1.1", "1.1.2"]


def test_a_study_that_was_withdrawn_has_nothing_left() -> None:
    left = standing(replace(study(), withdrawn=True))
    assert (uids(left.study), left.entered_in_error, left.retrievable) == ([], True, False)
