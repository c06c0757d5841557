"""What images and orders state differently, one row for each check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.records.images_side import images_side
from gateway.records.order_check import (
    CHECKS,
    DEFAULTS,
    NOTHING,
    Check,
    CheckPolicy,
    OrderStanding,
    Released,
    Side,
    TiedBy,
    TiedOrder,
    conflicts,
    is_of_patient,
    released_among,
    standing_with,
)
from gateway.records.ordered_side import ordered_sides
from gateway.records.patient import Identity
from gateway.records.row_ids import OrderRow

IMAGES = Side(
    patient=Identity("4711", "HOSP"), name="MUSTER^MAX", birth_date="19800102", sex="M", sides=frozenset("L"),
    modalities=frozenset({"MG"}),
)  # fmt: skip
OTHER: dict[Check, dict[str, Any]] = {
    Check.PATIENT_ID: {"patient": Identity("4712", "HOSP")},
    Check.BIRTH_DATE: {"birth_date": "19800103"},
    Check.NAME: {"name": "MEIER^EVA"},
    Check.SEX: {"sex": "F"},
    Check.LATERALITY: {"sides": frozenset("R")},
    Check.MODALITY: {"modalities": frozenset({"CT"})},
}
"""Check -> what an order states otherwise."""


def tied(side: Side, by: TiedBy = TiedBy.STUDY) -> TiedOrder:
    return TiedOrder(OrderRow(7), by, side)


def test_each_check_has_a_row_and_a_policy() -> None:
    assert [row.check for row in CHECKS] == list(Check) == list(DEFAULTS)


@pytest.mark.parametrize("check", Check)
def test_one_difference_is_one_conflict(check: Check) -> None:
    ordered = replace(IMAGES, **OTHER[check])
    assert [one.conflict.check for one in conflicts(IMAGES, [tied(ordered)])] == [check]
    assert list(conflicts(IMAGES, [tied(ordered)], {check: CheckPolicy.OFF})) == []


@pytest.mark.parametrize("check", Check)
def test_what_is_not_stated_contradicts_nothing(check: Check) -> None:
    ordered = replace(IMAGES, **OTHER[check])
    empty = {key: getattr(NOTHING, key) for key in OTHER[check]}
    assert list(conflicts(replace(IMAGES, **empty), [tied(ordered)])) == []
    assert list(conflicts(IMAGES, [tied(replace(ordered, **empty))])) == []


def test_who_was_merged_is_the_same_patient() -> None:
    ordered = replace(IMAGES, patient=Identity("4712", "HOSP"), former=(Identity("4711", ""),))
    assert list(conflicts(IMAGES, [tied(ordered)])) == []


def test_without_a_patient_id_the_name_counts_as_it() -> None:
    images = replace(IMAGES, patient=Identity("", ""))
    ordered = [tied(replace(IMAGES, name="MEIER^EVA"))]
    assert [one.policy for one in conflicts(images, ordered)] == [CheckPolicy.HOLD]
    warned = {Check.PATIENT_ID: CheckPolicy.WARN, Check.NAME: CheckPolicy.OFF}
    assert [one.policy for one in conflicts(images, ordered, warned)] == [CheckPolicy.WARN]
    assert [one.policy for one in conflicts(IMAGES, ordered)] == [CheckPolicy.WARN]


def test_a_modality_that_is_written_in_the_place_of_the_ordered_is_no_other() -> None:
    images, ordered = replace(IMAGES, modalities=frozenset({"DX"})), replace(IMAGES, modalities=frozenset({"CR"}))
    assert list(conflicts(images, [tied(ordered)])) == []


def test_a_release_is_of_its_values_alone() -> None:
    first = list(conflicts(IMAGES, [tied(replace(IMAGES, patient=Identity("1", "HOSP")))]))
    assert standing_with((), first) is OrderStanding.HELD
    given = [replace(one, released=Released("night", "asked the ward", 1)) for one in first]
    again = released_among(given, first)
    assert standing_with((), again) is OrderStanding.DIFFERS
    another = list(conflicts(IMAGES, [tied(replace(IMAGES, patient=Identity("2", "HOSP")))]))
    assert standing_with((), released_among(given, another)) is OrderStanding.HELD


def test_how_a_study_stands() -> None:
    assert standing_with((), ()) is OrderStanding.UNMATCHED
    assert standing_with((1,), ()) is OrderStanding.LINKED
    assert standing_with((1,), conflicts(IMAGES, [tied(replace(IMAGES, sex="F"))])) is OrderStanding.DIFFERS


def test_whose_orders_are_linked() -> None:
    other = replace(IMAGES, patient=Identity("4712", "HOSP"))
    assert not is_of_patient(IMAGES, tied(other))
    assert is_of_patient(IMAGES, tied(other, TiedBy.HAND))
    assert is_of_patient(replace(IMAGES, patient=Identity("", "")), tied(other))


@pytest.mark.parametrize(
    ("texts", "sides"),
    [
        (["Knee left"], "L"), (["MR Knie re."], "R"), (["Hüfte beidseits"], ""), (["left and right hand"], ""),
        (["Thorax"], ""), (["Mammographie", "gauche"], "L"), (["Bright field"], ""),
    ],
)  # fmt: skip
def test_the_side_that_an_order_names(texts: list[str], sides: str) -> None:
    assert ordered_sides(texts) == frozenset(sides)


def test_what_images_state() -> None:
    series: list[dict[str, Any]] = [
        {"Modality": "MG", "ImageLaterality": "L"}, {"Modality": "SR"}, {"Modality": "MG", "Laterality": ""},
        {"Modality": "CT", "AnatomicRegionModifierSequence": [{"CodeValue": "24028007"}]},
    ]  # fmt: skip
    study = {"PatientName": "MUSTER^MAX", "PatientSex": "M"}
    side = images_side(study, series, Identity("4711", "HOSP"))
    assert (side.name, side.sex, side.birth_date) == ("MUSTER^MAX", "M", "")
    assert (side.sides, side.modalities) == (frozenset("LR"), frozenset({"MG", "CT"}))
