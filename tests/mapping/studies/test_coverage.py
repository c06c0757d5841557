"""Every row of docs/fhir-coverage.md: the attribute reaches the element that the row names, in both releases."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydicom.datadict import dictionary_keyword, tag_for_keyword

from bench.made_studies import study_of
from gateway import mapping
from gateway.mapping.studies.base import FhirSettings
from gateway.mapping.studies.dialect import COMPUTED, REJECTION
from gateway.mapping.studies.imaging_study import ORDER_KEYWORDS
from gateway.mapping.studies.patient import PATIENT_KEYWORDS
from gateway.records.study import Release, Shape
from gateway.wire.fhir.validation import faults_of_imaging_study
from tests.mapping.maximal import MAXIMAL, dataset
from tests.mapping.samples import FHIR, SITE
from tests.peers.fhir_validators import Validators

DOCUMENT = (Path(__file__).parents[3] / "docs/fhir-coverage.md").read_text(encoding="utf-8")
SETTINGS = FhirSettings(FHIR.zone, "", FHIR.identifier_systems, study_id_system="urn:oid:1.2.4")
STUDIES = mapping.load(SITE, SETTINGS)
RELEASES: tuple[Release, ...] = ("R4", "R5")
REPLACED = {"StudyInstanceUID": "9.9", "SeriesInstanceUID": "9.9.1", "SOPInstanceUID": "9.9.2", "PatientID": "P2",
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}  # fmt: skip
"""What cannot be left out has another value instead."""
IN_ITEMS = {
    "0008,2220": "AnatomicRegionSequence",
    "0020,9071": "SharedFunctionalGroupsSequence",
    "0020,9072": "SharedFunctionalGroupsSequence",
}
"""Tags of attributes that stand in the items of another one, which is named."""


class Row(NamedTuple):
    keyword: str
    tag: str
    paths: dict[str, str]
    after: tuple[str, ...]


def rows() -> list[Row]:
    found = []
    for line in DOCUMENT.splitlines():
        cells = [one.strip() for one in line.strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"[0-9A-F]{4},[0-9A-F]{4}", cells[1]):
            found.append(Row(cells[0], cells[1], {"R4": cells[2], "R5": cells[3]}, tuple(cells[4].split())))
    return found


ROWS = rows()


@cache
def built(release: Release, without: tuple[str, ...], changed: str = "") -> dict[str, Any]:
    more = {changed: REPLACED[changed]} if changed in REPLACED else {}
    made = dataset(*(one for one in (*without, changed) if one not in more), **more)
    uid = str(made.StudyInstanceUID)
    return STUDIES.studies.build(study_of(STUDIES, uid, [made]), shape=Shape(release))


def values(element: Any, path: str) -> set[str]:
    """What stands at a path, through all lists on the way."""
    found = [element]
    for name in path.split("."):
        found = [one[name] for one in found if isinstance(one, dict) and name in one]
        found = [each for one in found for each in (one if isinstance(one, list) else [one])]
    return {json.dumps(one, sort_keys=True) for one in found}


def test_the_table_is_of_the_attributes_of_the_test_data() -> None:
    assert len(ROWS) > 60
    assert {row.keyword for row in ROWS} == MAXIMAL.keys() - {"SpecificCharacterSet"}
    for row in ROWS:
        group, element = row.tag.split(",")
        tag = int(group + element, 16)
        assert tag == tag_for_keyword((IN_ITEMS.get(row.tag) and dictionary_keyword(tag)) or row.keyword), row


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.keyword}->{row.paths['R4']}")
def test_the_attribute_reaches_its_element(row: Row, release: Release) -> None:
    path = row.paths[release]
    if path == "–":
        assert values(built(release, ()), row.paths["R4"]) == set()
        return
    given = values(built(release, row.after), path)
    left_out = values(built(release, row.after, row.keyword), path)
    assert given - left_out, f"{row.keyword} says nothing at {path}"


@pytest.mark.parametrize("release", RELEASES)
def test_every_study_of_it_is_valid(release: Release, fhir_validators: Validators) -> None:
    for row in ROWS:
        for study in (built(release, row.after), built(release, row.after, row.keyword)):
            assert faults_of_imaging_study(study, release) == []
    for after in {row.after for row in ROWS}:
        found = fhir_validators.findings(release, built(release, after))
        assert {name: one for name, one in found.items() if one} == {}, after


def test_everything_the_mapping_reads_is_in_the_table() -> None:
    read = {path for level in STUDIES.studies.keywords.values() for path in level} - COMPUTED
    in_table = {row.keyword for row in ROWS} | {
        str(dictionary_keyword(int(tag.replace(",", ""), 16))) for tag in IN_ITEMS
    }
    for_other_ends = PATIENT_KEYWORDS | ORDER_KEYWORDS | REJECTION
    assert read - in_table - for_other_ends == set()


@pytest.mark.parametrize("release", RELEASES)
def test_the_overlay_of_mado_tells_the_number_of_frames(release: Release, fhir_validators: Validators) -> None:
    mado = mapping.load(SITE, SETTINGS, mapping.shipped() / "overlays/mado")
    study = study_of(mado, "1.2.3", [dataset(NumberOfFrames=30)])
    resource = mado.studies.build(study, shape=Shape(release))
    url = "https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoNumberOfFrames"
    assert resource["series"][0]["instance"][0]["extension"] == [{"url": url, "valueInteger": 30}]
    assert faults_of_imaging_study(resource, release) == []
    found = fhir_validators.findings(release, resource)
    assert {name: one for name, one in found.items() if one} == {}
