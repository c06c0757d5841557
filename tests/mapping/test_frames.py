"""Anatomy and side of an image, said of the image, of all its frames or of each of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from gateway.mapping.attributes import from_dataset
from gateway.mapping.frames import GATHERED, read_for
from tests.mapping.maximal import code, item

LEFT, RIGHT = code("7771000", "SCT", "Left"), code("24028007", "SCT", "Right")


def group(side: str = "", *modifiers: Dataset, region: str = "69536005") -> Dataset:
    """An item of a functional groups sequence."""
    anatomy = item(AnatomicRegionSequence=[code(region, "SCT", "region")])
    if modifiers:
        anatomy.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = list(modifiers)
    if side:
        anatomy.FrameLaterality = side
    return item(FrameAnatomySequence=[anatomy])


def multi_frame(shared: Dataset, *frames: Dataset) -> Dataset:
    return item(SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=list(frames))


@pytest.mark.parametrize(
    ("dataset", "side"),
    [
        (multi_frame(group("L"), item(), item()), "L"),
        (multi_frame(group("L"), group("R")), "L"),
        (multi_frame(item(), group("R"), group("R")), "R"),
        (multi_frame(item(), item(), group("R")), "R"),
        (multi_frame(item(), group("R"), group("L"), group("R")), ["L", "R"]),
        (multi_frame(item(), group("L"), group("U")), ["L", "U"]),
        (multi_frame(item(), item()), None),
        (item(PatientID="P1"), None),
    ],
)
def test_the_side_of_all_frames(dataset: Dataset, side: Any) -> None:
    assert from_dataset(dataset, GATHERED).get("FrameLaterality") == side


def test_the_region_of_the_first_frame_alone_is_kept() -> None:
    many = (group("R", region=str(number)) for number in range(1, 300))
    [kept] = from_dataset(multi_frame(item(), *many), GATHERED)["FrameAnatomySequence"]
    assert kept["AnatomicRegionSequence"][0]["CodeValue"] == "1"


def test_modifiers_of_all_regions_and_structures() -> None:
    top = item(
        AnatomicRegionSequence=[code("1", "SCT", "a", AnatomicRegionModifierSequence=[LEFT])],
        PrimaryAnatomicStructureSequence=[
            code("2", "SCT", "b", PrimaryAnatomicStructureModifierSequence=[LEFT, RIGHT])
        ],
    )
    codes = [one["CodeValue"] for one in from_dataset(top, GATHERED)["AnatomicRegionModifierSequence"]]
    assert codes == ["7771000", "24028007"]
    framed = multi_frame(item(), group("", LEFT), group("", LEFT))
    assert len(from_dataset(framed, GATHERED)["AnatomicRegionModifierSequence"]) == 1


@pytest.mark.parametrize("keyword", ["0x52009229", "0x52009230", "0x00082218", "0x00082228"])
def test_an_attribute_of_another_vr_holds_no_items(keyword: str) -> None:
    """pydicom keeps the VR that the sender wrote."""
    for vr, value in (("LO", ["a", "b"]), ("LO", "a"), ("US", 7), ("OB", b"ab")):
        dataset = item(PatientID="P1")
        dataset[int(keyword, 16)] = DataElement(int(keyword, 16), vr, value)
        assert from_dataset(dataset, GATHERED | {"PatientID"}) == {"PatientID": "P1"}
    inner = Dataset()
    inner[0x00082218] = DataElement(0x00082218, "LO", ["a", "b"])
    framed = multi_frame(item(FrameAnatomySequence=[inner]))
    assert "AnatomicRegionModifierSequence" not in from_dataset(framed, GATHERED)


def test_only_what_is_asked_for_is_gathered() -> None:
    assert from_dataset(multi_frame(group("L")), ["PatientID"]) == {}
    assert read_for(["PatientID"]) == {"PatientID"}
    assert {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"} < read_for(["FrameLaterality"])
