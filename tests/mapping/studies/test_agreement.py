"""What `agreement.yaml` says, and what is refused in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import mapping
from gateway.errors import ConfigError
from gateway.mapping.overlay import overlay_changes
from gateway.operations.mappings_view import change_lines
from gateway.records.agreement import AgreementRule, AgreementRules, Rule
from tests.mapping.samples import FHIR, SHIPPED, SITE, site

OPERATORS = ("OperatorsName", "OperatorIdentificationSequence")


def loaded(folder: Path, text: str, studies: str = "") -> mapping.Mappings:
    files = {"agreement.yaml": text, "study_to_imagingstudy.yaml": studies}
    return mapping.load(SITE, FHIR, site(folder, files))


def rules(folder: Path, text: str) -> AgreementRules:
    return loaded(folder, text).studies.rules


def test_the_shipped_rules() -> None:
    ours = SHIPPED.studies.rules
    assert {rule.lead for rule in ours.series.values() if rule.rule is Rule.EQUAL} == {
        "Laterality", "AnatomicRegionModifierSequence",
    }  # fmt: skip
    assert ours.series["ImageLaterality"] is ours.series["Laterality"]
    assert ours.series["OperatorsName"].keywords == OPERATORS
    assert "BodyPartExamined" not in ours.series, "it is `first`, as all that have no row"
    assert ours.zone == FHIR.zone
    assert "ContentTime" not in SHIPPED.studies.keywords["instance"], "no rule asks when instances were made"


def test_a_site_changes_adds_and_removes_rules(tmp_path: Path) -> None:
    text = "study:\n  StudyDescription: newest\nseries:\n  Laterality: off\n  OperatorsName: first\n"
    changed = loaded(tmp_path, text)
    its, of_ours = changed.studies.rules, SHIPPED.studies.rules
    origin = "mappings.d/agreement.yaml:2"
    assert its.study["StudyDescription"] == AgreementRule(Rule.NEWEST, ("StudyDescription",), origin)
    assert its.series.keys() == of_ours.series.keys() - {*of_ours.series["Laterality"].keywords, *OPERATORS}
    assert changed.studies.keywords["instance"] - SHIPPED.studies.keywords["instance"] == its.keywords
    assert list(change_lines(overlay_changes(changed))) == [
        "agreement.yaml study StudyDescription: rule: newest (mappings.d/agreement.yaml:2), added",
        "agreement.yaml series OperatorsName: rule: first (mappings.d/agreement.yaml:5), "
        "instead of rule: list; with: OperatorIdentificationSequence",
        "agreement.yaml series Laterality: off, "
        "instead of rule: equal; with: ImageLaterality, FrameLaterality, MeasurementLaterality",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("series:\n  OperatorName: list\n", "2: OperatorName: 'OperatorName' is not a DICOM attribute; write its"),
        ("series:\n  PixelData: first\n", "2: PixelData: 'PixelData' is binary and not kept"),
        ("series:\n  Modality: last\n", "2: Modality: rule must be first or newest or equal or list, not 'last'"),
        ("series:\n  Modality: {with: [StationName]}\n", "2: Modality: where should its value come"),
        ("series:\n  Modality: {from: first}\n", "2: Modality: there is no key 'from'; known: rule, with, note"),
        ("instance:\n  Modality: first\n", "1: there is no level 'instance'"),
        ("series:\n  StationName: off\n", "2: StationName: is off, but the level series has no such row"),
        ("series:\n  SeriesDate: {rule: first, with: [SeriesDate]}\n", "2: SeriesDate: 'with' names an attribute"),
        ("series:\n  SeriesDescription: list\n", "2: SeriesDescription: 'list' gives several values, and the attribute "
         "has one; use first or newest or equal"),
        ("series:\n  AnatomicRegionSequence: list\n", "2: AnatomicRegionSequence: 'list' gives several values, and "
         "bodySite of study_to_imagingstudy.yaml takes one; use first or newest or equal"),
        ("series:\n  ImageLaterality: first\n", "2: ImageLaterality: counts with Laterality (agreement.yaml:"),
        ("series:\n  PatientSex: equal\n", "2: PatientSex: is read of the study, not of the series; write it there"),
        ("study:\n  SeriesDescription: equal\n", "2: SeriesDescription: is read of the series, not of the study"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_its_cure(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, text)
    [only] = raised.value.faults
    assert str(only).startswith(f"mappings.d/agreement.yaml:{fault}")


def test_a_row_of_the_site_that_takes_one_value_leaves_the_list_to_the_others(tmp_path: Path) -> None:
    row = "series:\n  description: {from: [SeriesDescription, OperatorsName]}\n"
    assert loaded(tmp_path, "", row).studies.rules.series["OperatorsName"].rule is Rule.LIST
