"""What an overlay changes, as a whole, and what of it is worth a look."""

from __future__ import annotations

from pathlib import Path

from gateway import mapping
from gateway.mapping.overlay import overlay_changes
from gateway.operations.mappings_view import change_lines, mappings_view
from tests.mapping.samples import FHIR, SITE, site

ORDERS = """\
patient:
  PatientSex: {from: PID-8, table: sex}
  PatientAddress: off
order:
  AccessionNumber: {from: OBR-3.1, otherwise: accession_number}
step:
  Modality: {from: OBR-24.1, table: modality, required: true}
  ScheduledProcedureStepLocation: {from: OBR-21.1}
"""


def loaded(folder: Path) -> mapping.Mappings:
    files = {"order_to_worklist.yaml": ORDERS, "tables/modality.csv": "code,value\nQQ,CT\nCT,\n"}
    return mapping.load(SITE, FHIR, site(folder, files))


def test_every_row_and_code_that_a_site_changes_is_named(tmp_path: Path) -> None:
    changes = overlay_changes(loaded(tmp_path))
    assert {(one.target, one.ours is None, one.site is None) for one in changes.rows} == {
        ("PatientSex", False, False), ("PatientAddress", False, True), ("AccessionNumber", False, False),
        ("Modality", False, False), ("ScheduledProcedureStepLocation", False, False),
    }  # fmt: skip
    assert [(one.table, one.code, one.ours, one.site) for one in changes.codes] == [
        ("modality", "CT", "CT", ""), ("modality", "QQ", None, "CT"),
    ]  # fmt: skip
    lines = list(change_lines(changes))
    assert len(lines) == 7
    assert "table modality: QQ -> CT, added" in lines
    assert any(
        line.startswith("order_to_worklist.yaml patient PatientAddress: off, instead of from: ") for line in lines
    )


def test_a_row_that_drops_our_unknown_is_noted(tmp_path: Path) -> None:
    view = mappings_view(loaded(tmp_path))
    [remark] = view.remarks
    assert remark.startswith("patient PatientSex: our row goes on with a code that its table lacks (unknown: empty)")
    [row] = [row for file in view.files for row in file.rows if row.target == "PatientAddress"]
    assert (row.text, row.origin) == ("off", "")


def test_without_an_overlay_nothing_is_changed() -> None:
    changes = overlay_changes(mapping.load(SITE, FHIR))
    assert (changes.rows, changes.codes, list(change_lines(changes))) == ([], [], [])
