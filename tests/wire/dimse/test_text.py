"""The text of data sets whose character set is not declared, or not truly."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from gateway.wire.dimse.text import mend_texts


def decoded(text: str, codec: str) -> str:
    """What pydicom reads for want of a declaration."""
    return text.encode(codec).decode("latin-1")


@pytest.mark.parametrize("codec", ["utf-8", "cp1252"])
@pytest.mark.parametrize("sets", [None, "", "ISO_IR 6", ["", "ISO 2022 IR 6"]])
def test_undeclared_text_is_utf_8_or_windows(codec: str, sets: str | list[str] | None) -> None:
    dataset, item = Dataset(), Dataset()
    if sets is not None:
        dataset.SpecificCharacterSet = sets
    dataset.PatientName = decoded("NOVAKOVIŠ^Ž€", codec)
    dataset.Allergies = ["plain", decoded("Nüsse", codec)]
    item.CodeMeaning = decoded("Schädel", codec)
    dataset.RequestedProcedureCodeSequence = [item]
    mend_texts(dataset)
    assert dataset.PatientName == "NOVAKOVIŠ^Ž€"
    assert list(dataset.Allergies) == ["plain", "Nüsse"]
    assert dataset.RequestedProcedureCodeSequence[0].CodeMeaning == "Schädel"


def test_an_item_has_the_character_set_of_its_data_set_or_its_own() -> None:
    dataset, item, own = Dataset(), Dataset(), Dataset()
    dataset.SpecificCharacterSet, own.SpecificCharacterSet = "ISO_IR 100", ""
    text = decoded("é", "utf-8")
    item.CodeMeaning = own.CodeMeaning = text
    dataset.RequestedProcedureCodeSequence = [item, own]
    mend_texts(dataset)
    assert [one.CodeMeaning for one in dataset.RequestedProcedureCodeSequence] == [text, "é"]


def test_the_escapes_that_pydicom_leaves_go() -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 58"]
    dataset.PatientName = "Zhang^XiaoDong=\x1b$)A张^\x1b$)A小东"
    mend_texts(dataset)
    assert dataset.PatientName == "Zhang^XiaoDong=张^小东"
