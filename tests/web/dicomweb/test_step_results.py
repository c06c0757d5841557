"""Results in JSON that are written straight from what is kept of a step, beside those made of elements."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.web.dicomweb.search_response import in_utf_8
from gateway.web.dicomweb.step_results import results_of
from gateway.wire.dicomweb import dicom_json
from gateway.worklist.items import Stored
from gateway.worklist.results import ALWAYS, Selection, selected, selection

CODE = {"CodeValue": "CTH", "CodingSchemeDesignator": "L", "CodeMeaning": "CT Schädel"}
STEP = {
    "Modality": "CT", "ScheduledStationAETitle": ["CT1", "CT2"], "ScheduledProcedureStepStartDate": "20260131",
    "ScheduledProtocolCodeSequence": [CODE, {}], "ScheduledProcedureStepDescription": " ",
}  # fmt: skip
ITEM: dict[str, Any] = {
    "PatientName": "Yamada^Tarou=山田^太郎=", "PatientID": " PAT1 ", "PatientWeight": "70.5", "PregnancyStatus": 4,
    "MedicalAlerts": ["Pacemaker", "", "Látex"], "Allergies": ["", ""], "PatientComments": "", "AdmissionID": None,
    "TimezoneOffsetFromUTC": "", "RequestedProcedureCodeSequence": [CODE], "ReferencedStudySequence": [],
    "IssuerOfAdmissionIDSequence": [{"UniversalEntityID": "1.2", "LocalNamespaceEntityID": ""}], "NoKeyword": "x",
    "ScheduledProcedureStepSequence": [STEP],
}  # fmt: skip
ASKED = (
    (0x00080201,), (0x0040A390,), (0x00104000,), (0x00101000,), (0x00380014,), (0x00091001,), (0x00080005,),
    (0x00400100, 0x00400008, 0x00080104), (0x00400100, 0x00400400), (0x00321064, 0x00080100),
)  # fmt: skip


@pytest.mark.parametrize("wanted", [ALWAYS, selection(ASKED), selection(ASKED, never={0x00100010, 0x00080060}), ()])
@pytest.mark.parametrize("changes", [{}, {"PatientName": "A^B", "TimezoneOffsetFromUTC": "+0100"}, dict.fromkeys(ITEM)])
def test_the_same_bytes(wanted: Selection, changes: dict[str, Any]) -> None:
    attributes = {keyword: value for keyword, value in {**ITEM, **changes}.items() if value is not None or not changes}
    of_elements = dicom_json.write(in_utf_8(selected(Stored(attributes), wanted)))
    assert results_of(wanted).write(Stored(attributes)) == of_elements


def test_a_selection_has_one_writer() -> None:
    """By which items know what they remember."""
    assert results_of(selection(ASKED)) is results_of(selection(ASKED))
    assert results_of(selection(ASKED)) is not results_of(ALWAYS)
