"""Data elements that are newer than pydicom's dictionary."""

from __future__ import annotations

import subprocess
import sys

from pydicom import Dataset
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword

from gateway.dicom_dictionary import ADDED

PYDICOM_LACKS = {
    "0008001D", "0008114C", "00081301", "00081302", "00081303", "00081304", "00100011", "00100012", "00100013",
    "00100014", "00100015", "00100016", "00100041", "00100042", "00100043", "00100044", "00100045", "00100046",
    "00100047", "00102162", "0040A034", "0040A035", "0040E012",
}  # fmt: skip
"""Of `ADDED`: a newer pydicom that has one of them is a reason to take its row out."""


def test_pydicom_alone_lacks_the_elements_that_are_added() -> None:
    tags = ",".join(str(one.tag) for one in ADDED)
    script = (
        f"from pydicom.datadict import dictionary_has_tag as has; print(*('%08X' % t for t in ({tags}) if not has(t)))"
    )
    lacking = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert set(lacking.split()) == PYDICOM_LACKS == {f"{one.tag:08X}" for one in ADDED}


def test_each_added_element_is_looked_up_by_tag_and_by_keyword() -> None:
    for one in ADDED:
        assert keyword_for_tag(one.tag) == one.keyword
        assert tag_for_keyword(one.keyword) == one.tag
        assert (dictionary_VR(one.tag), dictionary_VM(one.tag)) == (one.vr, one.vm)


def test_dicom_json_knows_the_added_elements() -> None:
    written = {"00100011": {"vr": "SQ", "Value": [{"00100012": {"vr": "LT", "Value": ["Alex"]}}]}}
    dataset = Dataset.from_json(written)
    assert dataset.PersonNamesToUseSequence[0].NameToUse == "Alex"
    assert dataset.to_json_dict() == written
