"""Names to use, pronouns, gender identity, sex parameters and ethnic groups: what HL7 states, beside name and sex."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mapping.samples import MSH, OBR, ORC, PID, only, orders

GENDER = "76691-5^Gender identity^LN"
PRONOUNS = "90778-2^Personal pronouns^LN"
MALE = "446151000124109^Identifies as male gender^SCT"
KEYWORDS = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def code(*values: str) -> dict[str, str]:
    return dict(zip(KEYWORDS, values, strict=True))


MALE_ITEM = code("446151000124109", "SCT", "Identifies as male gender")
THEY_ITEM = code("LA29520-6", "LN", "they/them/their/theirs/themselves")


def patient(*segments: str, pid: str = PID) -> dict[str, Any]:
    """The attributes of patient and order together."""
    read = only(MSH, pid, *segments, ORC, OBR)
    return {**read.order, **read.patient}


def findings(*segments: str) -> list[str]:
    return [f"{one.place} {one.text}" for one in only(MSH, PID, *segments, ORC, OBR).findings]


def named(written: str) -> str:
    return PID.replace("Doe^Jane", written)


@pytest.mark.parametrize(
    ("names", "patient_name", "names_to_use"),
    [
        ("Doe^Jane^^^^^L~Doe^Alex^^^^^N", "Doe^Jane", ["Alex Doe"]),
        ("^Alex^^^^^N~Doe^Jane^^^^^L", "Doe^Jane", ["Alex"]),
        ("^Alex^^^^^N~Doe^Jane", "Doe^Jane", ["Alex"]),
        ("^Alex^^^^^N~Doe^Jane^^^^^B", "Doe^Jane", ["Alex"]),
        ("Doe^Jane^^^^^NOUSE~Doe^Alex^^^^^N", "Doe^Alex", ["Alex Doe"]),
        ("Smith^John^^^^^N", "Smith^John", ["John Smith"]),
        ("Doe^Jane^^^^^L~Doe^Alex^^^^^N^^^^F", "Doe^Jane", ["Doe Alex"]),
        ("Doe^Jane^^^^^L", "Doe^Jane", None),
    ],
)
def test_a_nickname_is_a_name_to_use_and_no_patient_name_where_there_is_another(
    names: str, patient_name: str, names_to_use: list[str] | None
) -> None:
    stated = patient(pid=named(names))
    assert stated["PatientName"] == patient_name
    items = stated.get("PersonNamesToUseSequence")
    assert (None if items is None else [one["NameToUse"] for one in items]) == names_to_use


def test_a_name_to_use_has_its_validity() -> None:
    [item] = patient(pid=named("Doe^Jane^^^^^L~^Alex^^^^^N^^^^^20240201^2026"))["PersonNamesToUseSequence"]
    assert item == {"NameToUse": "Alex", "EffectiveStartDateTime": "20240201", "EffectiveStopDateTime": "2026"}
    [item] = patient(pid=named("Doe^Jane^^^^^L~^Alex^^^^^N^^^20240201&20260301"))["PersonNamesToUseSequence"]
    assert item == {"NameToUse": "Alex", "EffectiveStartDateTime": "20240201", "EffectiveStopDateTime": "20260301"}


def test_gender_identity_and_pronouns_are_told_apart_and_leave_the_sex_alone() -> None:
    stated = patient(
        f"GSP|1|S||{GENDER}|{MALE}|20220715^20301231|asked at admission",
        f"GSP|2|S||{PRONOUNS}|LA29520-6^^LN",
        f"GSP|3|S||{PRONOUNS}|X1^xe/xem^L|202401151030+0000",
    )
    assert stated["PatientSex"] == "F"
    assert stated["GenderIdentitySequence"] == [
        {
            "GenderIdentityCodeSequence": [MALE_ITEM],
            "GenderIdentityComment": "asked at admission",
            "EffectiveStartDateTime": "20220715",
            "EffectiveStopDateTime": "20301231",
        }
    ]
    local = code("X1", "99LOCAL", "xe/xem")
    assert stated["ThirdPersonPronounsSequence"] == [
        {"PronounCodeSequence": [THEY_ITEM]},
        {"PronounCodeSequence": [local], "EffectiveStartDateTime": "20240115113000"},
    ]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            "female-typical^Apply female-typical setting^SexParameterForClinicalUseCS",
            ("131230", "DCM", "Female-typical"),
        ),
        ("male-typical", ("131231", "DCM", "Male-typical")),
        ("specified^^SexParameterForClinicalUseCS", ("131232", "DCM", "Specified")),
        ("131231^Male-typical^DCM", ("131231", "DCM", "Male-typical")),
        ("unknown^^SexParameterForClinicalUseCS", None),
    ],
)
def test_sex_parameters_have_the_codes_of_dicom(sent: str, expected: tuple[str, str, str] | None) -> None:
    stated = patient(f"GSC|1|S||{sent}|20220715|OBR^4|urn:uuid:0a1b|Hormonal treatment")
    items = stated.get("SexParametersForClinicalUseCategorySequence")
    if expected is None:
        assert items is None
        return
    assert items == [
        {
            "SexParametersForClinicalUseCategoryCodeSequence": [code(*expected)],
            "SexParametersForClinicalUseCategoryComment": "Hormonal treatment",
            "EffectiveStartDateTime": "20220715",
            "SexParametersForClinicalUseCategoryReference": "urn:uuid:0a1b",
        }
    ]


def test_sex_parameters_are_of_the_order_and_not_of_the_patient() -> None:
    read = only(MSH, PID, "GSC|1|S||male-typical", ORC, OBR)
    assert "SexParametersForClinicalUseCategorySequence" in read.order
    assert "SexParametersForClinicalUseCategorySequence" not in read.patient


def test_what_a_segment_takes_back_is_left_out_or_deleted() -> None:
    kept = patient(f"GSP|1|D||{GENDER}|{MALE}", f"GSP|2|S||{GENDER}|33791000087105^^SCT")
    [item] = kept["GenderIdentitySequence"]
    assert item["GenderIdentityCodeSequence"][0]["CodeMeaning"] == "Identifies as nonbinary gender"
    gone = patient(f"GSP|1|D||{GENDER}|{MALE}", "GSC|1|D||male-typical")
    assert gone["GenderIdentitySequence"] is None
    assert gone["SexParametersForClinicalUseCategorySequence"] is None
    assert "ThirdPersonPronounsSequence" not in gone


@pytest.mark.parametrize(
    ("segment", "place", "text"),
    [
        (f"GSP|1|S||{GENDER}|{MALE}|2022-31-99", "GSP", "'2022-31-99' is not a date and time"),
        (f"GSP|1|S||{GENDER}||", "GSP", "GenderIdentityCodeSequence has no code"),
        (f"GSP|1|S||{PRONOUNS}|X^x^{'S' * 17}", "GSP", "17 characters do not fit SH (16)"),
        ("GSC|1|S||^only a text", "GSC", "SexParametersForClinicalUseCategoryCodeSequence has no code"),
        ("GSC|1|S||male-typical|||no: uri", "GSC", "'no: uri' is not a URI"),
    ],
)
def test_a_value_that_cannot_be_read_is_left_out_with_a_finding(segment: str, place: str, text: str) -> None:
    assert patient(segment)["PatientName"] == "Doe^Jane"
    [finding] = [one for one in findings(segment) if one.startswith(place)]
    assert text in finding
    whole = f"GSP|2|S||{GENDER}|{MALE}" if place == "GSP" else "GSC|2|S||specified"
    beside = [one for one in findings(segment, whole) if one.startswith(place)]
    assert text in beside[0], beside


def test_ethnic_groups_are_all_kept_and_the_retired_attribute_has_the_first() -> None:
    pid = PID + "||2106-3^White^CDCREC~X^Local"
    stated = patient(pid=pid)
    assert stated["EthnicGroups"] == ["White", "Local"]
    assert stated["EthnicGroup"] == "White"
    assert [one["CodeValue"] for one in stated["EthnicGroupCodeSequence"]] == ["2106-3", "X"]
    assert patient(pid=PID + "|" * 14 + "H^Hispanic^HL70189")["EthnicGroups"] == "Hispanic"


def test_a_site_lays_its_own_codes_over(tmp_path: Any) -> None:
    overlay = orders(tmp_path, "", gender_identity="code,value\nM,446151000124109|SCT|Identifies as male gender\n")
    read = only(MSH, PID, f"GSP|1|S||{GENDER}|m", ORC, OBR, overlay=overlay)
    assert read.patient["GenderIdentitySequence"] == [{"GenderIdentityCodeSequence": [MALE_ITEM]}]


def test_a_table_of_codes_without_scheme_and_meaning_is_a_fault(tmp_path: Any) -> None:
    overlay = orders(tmp_path, "", gender_identity="code,value\nM,446151000124109\n")
    with pytest.raises(Exception, match=r"write code\|scheme\|meaning"):
        only(MSH, PID, ORC, OBR, overlay=overlay)
