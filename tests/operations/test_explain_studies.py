"""What `gateway explain` tells of images that state different things: by which rule a value counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.assembly.readers import make_reader
from gateway.config.tree import Config
from gateway.operations.explain import Explanation, explain, render
from tests.mapping.samples import SHIPPED
from tests.wire.dimse.peers import instance

STATED = (
    {"OperatorsName": "Ann^A", "ImageLaterality": "L", "BodyPartExamined": "HAND", "StudyDescription": "Both"},
    {"OperatorsName": ["Bob^B", "Ann^A"], "ImageLaterality": "R", "BodyPartExamined": "WRIST"},
    {"BodyPartExamined": "ARM", "StudyDescription": "Both"},
)


def explained(folder: Path, *numbers: int) -> Explanation:
    """Of the images with these numbers, in files that are read in this order."""
    for position, number in enumerate(numbers):
        image: Dataset = instance()
        image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.1", "2.25.1.1"
        image.SOPInstanceUID, image.PatientID, image.Modality = f"2.25.1.9.{number}", "P1", "DX"
        for keyword, value in STATED[number].items():
            setattr(image, keyword, value)
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.save_as(folder / f"{position}.dcm", enforce_file_format=True)
    [only] = explain(SHIPPED, make_reader(Config(), SHIPPED), "ris", [folder])
    return only


@pytest.mark.parametrize("numbers", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_the_rule_is_named_where_images_differ(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    told = explained(tmp_path, *numbers)
    assert told.resource is not None
    [series] = told.resource["series"]
    assert [one["actor"]["display"] for one in series["performer"]] == ["A Ann", "B Bob"]
    assert "laterality" not in series
    rules = SHIPPED.studies.rules.series
    assert [line for line in render(told) if "differ" in line] == [
        "  instances differ: series 2.25.1.1 BodyPartExamined: HAND | WRIST | ARM; rule first (no row names it)",
        f"  instances differ: series 2.25.1.1 Laterality: L | R; rule equal ({rules['Laterality'].origin})",
        "  instances differ: series 2.25.1.1 OperatorsName: Ann^A | Bob^B, Ann^A; "
        f"rule list ({rules['OperatorsName'].origin})",
    ]
    differing = told.as_json()["differing"]
    assert [(one["rule"], one["attributes"][0], len(one["values"])) for one in differing] == [
        ("first", "BodyPartExamined", 3), ("equal", "Laterality", 2), ("list", "OperatorsName", 2),
    ]  # fmt: skip


def test_images_that_agree_need_no_rule(tmp_path: Path) -> None:
    assert explained(tmp_path, 0).differing == []
