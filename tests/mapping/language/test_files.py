"""The mapping language: how rows and tables of a site lie over ours, and what is said of every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import mapping
from gateway.errors import ConfigError
from gateway.mapping.language.files import read
from gateway.mapping.language.rows import Row
from gateway.mapping.orders.dialect import ORDER_DIALECT
from tests.mapping.samples import FHIR, MSH, ORC, PID, SHIPPED, SITE, ZDS, orders, request, said, site

FILE = "mappings.d/order_to_worklist.yaml"
STUDY_FILE = "mappings.d/study_to_imagingstudy.yaml"


def faults(overlay: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        mapping.load(SITE, FHIR, overlay)
    return raised.value.faults


def rows(overlay: Path, level: str) -> dict[str, Row]:
    return {row.target: row for row in mapping.load(SITE, FHIR, overlay).files[mapping.ORDERS].rows[level]}


# --- overlays ---


def test_a_row_replaces_ours_as_a_whole_and_keeps_its_place(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "order:\n  AccessionNumber: OBR-3.1\n")
    found = rows(overlay, "order")
    assert found["AccessionNumber"] == Row("order", "AccessionNumber", f"{FILE}:2", ("OBR-3.1",))
    assert next(iter(found)) == "AccessionNumber"
    assert found["RequestingPhysician"].origin.startswith("order_to_worklist.yaml:")


def test_a_new_target_is_added(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "patient:\n  PatientTelephoneNumbers: [PID-13.1, PID-14.1]\n")
    assert list(rows(overlay, "patient"))[-1] == "PatientTelephoneNumbers"
    patient = "PID|1||P1||Doe^Jane||19800102|F|||||030 1234"
    assert said(MSH, patient, ORC, request("S1"), overlay=overlay)["PatientTelephoneNumbers"] == "030 1234"


def test_off_removes_a_row(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "patient:\n  PatientSex: off\n")
    assert "PatientSex" not in rows(overlay, "patient")
    assert "PatientSex" not in said(MSH, PID, ORC, request("S1"), overlay=overlay)


def test_a_table_of_a_site_adds_its_lines_to_ours(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "", modality="code,value\n# theirs\nTOMO,CT\nmagnet,MR\n")
    assert said(MSH, PID, ORC, request("S1", modality="Magnet"), overlay=overlay)["Modality"] == "MR"
    assert said(MSH, PID, ORC, request("S1", modality="US"), overlay=overlay)["Modality"] == "US"


def test_an_empty_overlay_changes_nothing(tmp_path: Path) -> None:
    overlay = site(tmp_path, {"order_to_worklist.yaml": "# nothing yet\n", "README.txt": "notes"})
    assert mapping.load(SITE, FHIR, overlay).files[mapping.ORDERS].rows == SHIPPED.files[mapping.ORDERS].rows


def test_values_are_texts_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    overlay = orders(
        tmp_path, "visit:\n  AdmissionID: {default: 0012}\norder:\n  RequestingService: {from: ORC-17.1, default: NO}\n"
    )
    attributes = said(MSH, PID, ORC, request("S1"), overlay=overlay)
    assert (attributes["RequestingService"], attributes["AdmissionID"]) == ("NO", "0012")


# --- faults ---


def test_five_mistakes_are_five_faults_each_with_its_line(tmp_path: Path) -> None:
    overlay = orders(
        tmp_path,
        "order:\n"
        "  AccesionNumber: OBR-3.1\n"
        "  RequestingPhysician: {from: OBR-16, as: provider_nam}\n"
        "step:\n"
        "  Modality:\n"
        "    from: OBR.4.1\n"
        "    table: modalty\n"
        "  ScheduledStationAETitle: {form: OBR-21.1}\n",
    )
    assert faults(overlay) == [
        f"{FILE}:2: AccesionNumber: is not a DICOM attribute; write its keyword, such as AccessionNumber",
        f"{FILE}:3: RequestingPhysician: there is no function 'provider_nam'; did you mean 'provider_name'?",
        f"{FILE}:6: Modality: 'OBR.4.1' is not a path such as OBR-18, PID-3.4.1, OBR-4.1-3, AL1*-3.2 or PATIENT/NTE*-3",
        f"{FILE}:7: Modality: there is no code table 'modalty'; did you mean 'modality'?",
        f"{FILE}:8: ScheduledStationAETitle: there is no key 'form'; did you mean 'from'?",
    ]


FILE_FAULTS = [
    ("order: [", ":1: not valid YAML: "),
    ("- order", ":1: the file must hold levels: patient, visit, order, procedure, step"),
    ("order:\n  A: \x07", ": cannot be read: "),
    ("a: 1\n---\nb: 2", ":2: not valid YAML: "),
    ("ordre:\n  AccessionNumber: OBR-18", ":1: there is no level 'ordre'; did you mean 'order'?"),
    ("stay:\n  AdmissionID: PV1-19", ":1: there is no level 'stay'; known: patient, visit, order, procedure, step"),
    ("order:", ":1: order: must hold rows such as 'TARGET: PATH'"),
    ("order:\n  AdmissionID: PV1-19\norder:\n  RequestingService: PV1-10", ":3: order stands twice"),
    ("order:\n  AdmissionID: PV1-19\n  AdmissionID: PID-18", ":3: order: AdmissionID stands twice"),
    ("order:\n  [a, b]: PV1-19", ":2: (not a text): is not a DICOM attribute"),
]

ROW_FAULTS = [
    ("order", "PatientSex", "PID-8", "is a row of the level patient; write it there"),
    ("order", "SpecificCharacterSet", "MSH-18", "is set by the gateway itself"),
    ("order", "PixelData", "OBX-5", "has the value representation OB or OW, which no row can fill"),
    ("procedure", "StudyInstanceUID", "off", "cannot be off: the gateway cannot work without it"),
    ("order", "PatientSize", "off", "is a row of the level patient"),
    ("order", "PatientAge", "off", "has the value representation AS"),
    ("order", "SpecialNeeds", "off", "is off, but the level order has no such row"),
    ("visit", "AdmissionID", "", "'from' names no path"),
    ("visit", "AdmissionID", "[]", "where should its value come from? It has no 'from'"),
    ("visit", "AdmissionID", "{note: nothing}", "where should its value come from? It has no 'from'"),
    ("visit", "AdmissionID", "{from: {a: b}}", "'from' must be a path or a list of paths"),
    ("visit", "AdmissionID", "[[PV1-19]]", "'from' must be a path or a list of paths"),
    ("visit", "AdmissionID", "{from: PV1-19, from: PV1-20}", "from stands twice"),
    ("visit", "AdmissionID", "{from: PV1-19, as: [text]}", "'as' must be a text"),
    ("visit", "AdmissionID", "{from: PV1-19, with: PV1-20}", "there is no key 'with'"),
    ("visit", "AdmissionID", "{from: PV1-19, required: maybe}", "required must be true or false, not 'maybe'"),
    ("visit", "AdmissionID", "{from: PV1-19, too_long: keep}", "too_long must be reject or cut, not 'keep'"),
    ("visit", "AdmissionID", "{from: PV1-19, too_long: cut}", "'too_long: cut' would make another value"),
    ("visit", "AdmissionID", "{from: PV1-19, unknown: keep}", "'unknown' says what to do with a code"),
    (
        "visit",
        "AdmissionID",
        "{otherwise: accession}",
        "there is no derivation 'accession'; did you mean 'accession_number'?",
    ),
    ("visit", "AdmissionID", "{from: PV1-19, as: date}", "'as: date' gives no LO; use a function that gives text"),
    ("order", "IssueDateOfImagingServiceRequest", "ORC-9", "'as: text' gives no DA; use date or birth_date"),
    ("visit", "AdmissionID", "PV1", "'PV1' names a segment without a field, which only gender_identity and height and"),
    (
        "patient",
        "PatientWeight",
        "{from: OBX-5, as: weight}",
        "'as: weight' takes segments without a field, such as OBX*, not 'OBX-5'",
    ),
    (
        "visit",
        "IssuerOfAdmissionIDSequence",
        "{from: PV1-19.4, as: issuer_sequence, table: sex}",
        "'table' translates texts, and 'as: issuer_sequence' gives none",
    ),
    (
        "step",
        "Modality",
        "{from: OBR-24, default: c.t.}",
        "the default 'c.t.' does not fit: 'C.T.' is not a code string",
    ),
    (
        "step",
        "Modality",
        "{from: OBR-24, table: modality, default: XRY}",
        "the default 'XRY' does not fit: 'XRY' is not in the table 'modality'",
    ),
    (
        "step",
        "ScheduledProtocolCodeSequence",
        f"{{from: OBR-4.4-6, as: code_sequence, default: STD^Standard^{'X' * 17}}}",
        f"the default 'STD^Standard^{'X' * 17}' does not fit: 17 characters do not fit SH (16)",
    ),
    ("visit", "AdmissionID", "[PV1-0, site.nam]", "'PV1-0' is not a path"),
    ("visit", "AdmissionID", "[PV1-19, site.nam]", "there is no setting 'site.nam'; known: site.patient_id_issuer,"),
    ("visit", "AdmissionID", "PV1-19.3-2", "'PV1-19.3-2': the range of components runs backwards"),
    ("visit", "AdmissionID", "PV1-19.1-2.1", "'PV1-19.1-2.1': a range of components has no subcomponent"),
]


ROW_STUDY_FAULTS = [
    ("study", "patient", "PatientID", "is not an element of ImagingStudy at this level; it has basedOn, "),
    ("series", "uid[a]", "SeriesInstanceUID", "cannot have a label: uid is not a list"),
    ("study", "status", "off", "cannot be off"),
    ("study", "status", "{default: final}", "the default 'final' is not one of registered, available,"),
    ("study", "description", "StudyDescripton", "'StudyDescripton' is not a DICOM attribute"),
    ("study", "description", "StudyDescription.CodeMeaning", "'StudyDescription' is no sequence"),
    ("study", "description", "PixelData", "'PixelData' is binary and not kept"),
    (
        "study",
        "description",
        "ProcedureCodeSequence",
        "'as: text' cannot take 'ProcedureCodeSequence'; it takes a text",
    ),
    ("study", "description", "LinkedOrder", "'as: text' cannot take 'LinkedOrder'"),
    ("study", "started", "StudyDate", "'as: text' gives a string, not a dateTime; use date_time"),
    (
        "study",
        "referrer",
        "{from: OperatorsName, as: person_displays}",
        "'as: person_displays' gives a Reference*, not a Reference; use ",
    ),
    (
        "study",
        "reasonCode",
        "{from: LinkedOrder, as: codeable_concepts}",
        "'as: codeable_concepts' cannot take 'LinkedOrder'; it takes a text or sequence",
    ),
    (
        "instance",
        "sopClass",
        "{from: SOPClassUID, as: sop_class, default: CT}",
        "the default 'CT' does not fit: 'CT' is not a UID",
    ),
    ("study", "basedOn", "{as: request_references, default: x}", "'as: request_references' can have no default"),
    ("study", "description", "{from: StudyDescription, with: [StudyDate]}", "'as: text' takes no attributes in 'with'"),
    (
        "study",
        "description",
        "{from: StudyDescription, table: sex}",
        "'as: text' uses no 'table'; body_site and dicom_code and frames_extension and modalities do",
    ),
    ("study", "modality", "{from: ModalitiesInStudy, as: modalities}", "'as: modalities' needs a 'table'"),
    ("study", "description", "{from: StudyDescription, unknown: keep}", "'unknown' says what to do"),
    ("study", "description", "{from: StudyDescription, too_long: cut}", "there is no key 'too_long'"),
    (
        "series",
        "number",
        "{from: SeriesNumber, as: unsigned, default: -1}",
        "the default '-1' does not fit: '-1' is no whole number from 0 to 2147483647",
    ),
    (
        "series",
        "bodySite",
        "{as: body_site, table: bodypart_snomed, default: SOUL}",
        "the default 'SOUL' does not fit: 'SOUL' is not in the table 'bodypart_snomed'",
    ),
]


@pytest.mark.parametrize(("text", "fault"), FILE_FAULTS)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, text: str, fault: str) -> None:
    assert any(one.startswith(f"{FILE}{fault}") for one in faults(orders(tmp_path, text)))


@pytest.mark.parametrize(("level", "target", "row", "fault"), ROW_FAULTS)
def test_a_mistake_in_an_order_row_is_named(tmp_path: Path, level: str, target: str, row: str, fault: str) -> None:
    found = faults(orders(tmp_path, f"{level}:\n  {target}: {row}\n"))
    assert any(one.startswith(f"{FILE}:2: {target}: {fault}") for one in found), found


@pytest.mark.parametrize(("level", "target", "row", "fault"), ROW_STUDY_FAULTS)
def test_a_mistake_in_a_study_row_is_named(tmp_path: Path, level: str, target: str, row: str, fault: str) -> None:
    found = faults(site(tmp_path, {"study_to_imagingstudy.yaml": f"{level}:\n  {target}: {row}\n"}))
    assert any(one.startswith(f"{STUDY_FILE}:2: {target}: {fault}") for one in found), found


def test_every_wrong_path_of_a_list_is_a_fault(tmp_path: Path) -> None:
    found = faults(orders(tmp_path, "visit:\n  AdmissionID: [PV1.19, PID.18]\n"))
    assert [fault.split(": ")[2].split(" is")[0] for fault in found] == ["'PV1.19'", "'PID.18'"]


def test_mistakes_in_tables_are_named(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "", sex="code,value\nM,M\nX\nm,F\nD,diverse, or none\n,M\n", modalty="A,CT\n")
    columns = "a line has two columns, code,value; put quotes around text with a comma"
    assert faults(overlay) == [
        f"mappings.d/tables/sex.csv:3: {columns}",
        "mappings.d/tables/sex.csv:4: 'M' stands twice",
        f"mappings.d/tables/sex.csv:5: {columns}",
        f"mappings.d/tables/sex.csv:6: {columns}",
    ]


@pytest.mark.parametrize("content", [b"M,\xe4\n", b'"M,M\nF,F'])
def test_a_table_that_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes) -> None:
    overlay = orders(tmp_path, "", sex="")
    (overlay / "tables" / "sex.csv").write_bytes(content)
    (fault,) = faults(overlay)
    assert fault.startswith("mappings.d/tables/sex.csv: cannot be read: ")


def test_a_file_that_nothing_reads_is_a_fault(tmp_path: Path) -> None:
    overlay = site(tmp_path, {"order_to_worklists.yaml": "order:\n", "x.yml": "a: b\n"})
    assert faults(overlay) == [
        "mappings.d/order_to_worklists.yaml: is not a mapping file; did you mean 'order_to_worklist.yaml'?",
        "mappings.d/x.yml: is not a mapping file; "
        "known: order_to_worklist.yaml, study_to_imagingstudy.yaml, step_to_status.yaml, corrections.yaml, "
        "agreement.yaml, scanners.yaml",
    ]


TABLE_FAULTS = [
    ("modality", "TOMO,c.t.", "Modality: the table 'modality' gives 'c.t.' for 'TOMO': 'C.T.' is not a code string"),
    ("pregnancy", "B6,yes", "PregnancyStatus: the table 'pregnancy' gives 'yes' for 'B6': 'yes' is not a whole number"),
    (
        "priority",
        "X,AS SOON AS POSSIBLE",
        "the table 'priority' gives 'AS SOON AS POSSIBLE' for 'X': 19 characters do not fit SH (16)",
    ),
    (
        "bodypart_snomed",
        "SOUL,|Soul",
        "bodySite: the table 'bodypart_snomed' gives '|Soul' for 'SOUL', which is not a code of SNOMED CT",
    ),
    ("coding_scheme", "99X,our own", "the table 'coding_scheme' gives 'our own' for '99X', which is no URI"),
]


@pytest.mark.parametrize(("table", "line", "fault"), TABLE_FAULTS)
def test_what_a_table_gives_and_its_attribute_cannot_hold_is_named(
    tmp_path: Path, table: str, line: str, fault: str
) -> None:
    """When the file is read, not when a message asks for the code."""
    found = faults(orders(tmp_path, "", **{table: f"{line}\n"}))
    assert len(found) == 1
    assert fault in found[0]


def test_an_unused_table_is_a_fault_only_when_there_is_no_other(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "step:\n  Modality: {from: OBR-4.1, table: mine, requird: true}\n", mine="A,CT\n")
    (fault,) = faults(overlay)
    assert "there is no key 'requird'" in fault
    assert faults(orders(tmp_path / "two", "", modalty="A,CT\n")) == [
        "mappings.d/tables/modalty.csv: no row uses this table; did you mean 'modality'?"
    ]


def test_a_table_beside_the_folder_of_tables_is_named(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "")
    (overlay / "modality.csv").write_text("A,CT\n", encoding="utf-8")
    assert faults(overlay) == ["mappings.d/modality.csv: belongs into mappings.d/tables/"]


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert faults(tmp_path / "no") == [f"mappings.overlay: there is no folder {tmp_path}/no"]


def test_a_file_of_ours_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    _, found = read("order_to_worklist.yaml", ORDER_DIALECT, [tmp_path], {})
    assert found == [f"{tmp_path}/order_to_worklist.yaml: the file is missing"]


def test_a_file_that_is_not_utf8_is_a_fault(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "")
    (overlay / "order_to_worklist.yaml").write_bytes("order: # \xfc\n".encode("latin_1"))
    (fault,) = faults(overlay)
    assert fault.startswith(f"{FILE}: cannot be read: ")


def test_a_default_stands_in_for_the_field(tmp_path: Path) -> None:
    overlay = orders(
        tmp_path,
        "step:\n"
        "  Modality: {from: OBR-24.1, table: modality, default: RAD, unknown: empty}\n"
        "  ScheduledProtocolCodeSequence: {from: OBR-4.4-6, as: code_sequence, default: STD^Standard^99X}\n",
        modality="RAD,CR\n",
    )
    attributes = said(MSH, PID, ORC, "OBR|1|||X", ZDS, overlay=overlay)
    assert attributes["Modality"] == "CR"
    assert attributes["ScheduledProtocolCodeSequence"] == [
        {"CodeValue": "STD", "CodingSchemeDesignator": "99X", "CodeMeaning": "Standard"}
    ]
