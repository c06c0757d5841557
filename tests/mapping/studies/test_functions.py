"""The named functions of the study mapping: DICOM values to FHIR R4 elements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidValue, UnknownCode
from gateway.mapping.language.rows import Codes
from gateway.mapping.studies.base import (
    DCM,
    PARTICIPATION,
    SCT,
    V2_0203,
    FhirSettings,
    coding,
    order_system_of,
    system_of,
)
from gateway.mapping.studies.dialect import ELEMENTS
from gateway.mapping.studies.functions import FUNCTIONS
from gateway.records.identifiers import AccessionNumber
from gateway.records.study import LinkedOrder
from gateway.wire.fhir.validation import STATUS
from tests.mapping.samples import SHIPPED

SCHEMES = SHIPPED.files["study_to_imagingstudy.yaml"].tables["coding_scheme"].codes
SETTINGS = FhirSettings(ZoneInfo("Europe/Berlin"), "HOSPITAL", {"HOSPITAL": "urn:oid:1.2.3"}, SCHEMES)
BODY = Codes("body", {"CHEST": "43799004|Chest", "HEAD": "69536005"}, "keep")


def run(name: str, value: Any, *others: Any, codes: Codes | None = None, settings: FhirSettings = SETTINGS) -> Any:
    """None also for what is left out with a finding."""
    try:
        return FUNCTIONS[name].function(value, others, codes, settings)
    except InvalidValue:
        return None


def typed(code: str, display: str, system: str, value: str) -> dict[str, Any]:
    type_ = {"coding": [{"system": V2_0203, "code": code, "display": display}]}
    return {"type": type_, "system": system, "value": value}


def test_every_function_has_a_type_of_fhir() -> None:
    elements = {kind.rstrip("*") for level in ELEMENTS.values() for kind in level.values()}
    assert {entry.returns.rstrip("*") for entry in FUNCTIONS.values()} <= elements


def test_the_statuses_are_those_of_the_validator() -> None:
    from gateway.mapping.studies.dialect import STATUSES

    assert set(STATUSES) == STATUS


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("text", " CT\x07chest ", "CT chest"),
        ("text", ["first", "second"], "first"),
        ("text", "\x00", None),
        ("uid_identifier", "1.2.3", {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}),
        ("sop_class", "1.2.3", {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.3"}),
        ("dicom_code", "CT", {"system": DCM, "code": "CT"}),
        ("display", "Ward", {"display": "Ward"}),
        ("display", "\x00", None),
        # PN is family^given^middle^prefix^suffix; people say prefix given middle family suffix.
        ("person_display", "Doe^Jane^Ann^Dr^Jr", {"display": "Dr Jane Ann Doe Jr"}),
        ("person_display", "=山田^太郎", {"display": "太郎 山田"}),
        ("person_display", "^^^^", None),
        ("person_displays", ["Doe^Jane", "", "Roe"], [{"display": "Jane Doe"}, {"display": "Roe"}]),
        ("person_displays", "Doe^Jane", [{"display": "Jane Doe"}]),
    ],
)
def test_plain_values(name: str, value: Any, expected: Any) -> None:
    assert run(name, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", 0), ("12", 12), (" +7 ", 7), ("7.0", 7), (["3", "4"], 3), (5, 5), ("2147483647", 2**31 - 1)]
    + [(wrong, None) for wrong in ("2147483648", "-1", "1.5", "nan", "1e3", "1_0", "", "٣", "9" * 40)],
)
def test_unsigned(value: Any, expected: int | None) -> None:
    assert run("unsigned", value) == expected


# --- date and time ---


@pytest.mark.parametrize(
    ("day", "time", "offset", "expected"),
    [
        ("20260116", "090501", "", "2026-01-16T09:05:01+01:00"),
        ("20260716", "090501", "", "2026-07-16T09:05:01+02:00"),
        ("20260116", "090501", "-0330", "2026-01-16T09:05:01-03:30"),
        ("20260116", "090501", "+0000", "2026-01-16T09:05:01+00:00"),
        ("20260116", "090501.5", "", "2026-01-16T09:05:01.500+01:00"),
        ("20260116", "090501.123456", "", "2026-01-16T09:05:01.123+01:00"),
        ("20260116", "0905", "", "2026-01-16T09:05:00+01:00"),
        ("20260116", "09", "", "2026-01-16T09:00:00+01:00"),
        ("20260116", "09:05:01 ", "", "2026-01-16T09:05:01+01:00"),
        ("20260116", "235960", "", "2026-01-16T23:59:59+01:00"),
        ("2026.01.16", "", "", "2026-01-16"),
        # What cannot be read of the time is dropped, never guessed.
        ("20260116", "", "", "2026-01-16"),
        ("20260116", "2405", "", "2026-01-16"),
        ("20260116", "0960", "", "2026-01-16"),
        ("20260116", "090561", "", "2026-01-16"),
        ("20260116", "noon", "", "2026-01-16"),
        ("20260116", "090501", "+9900", "2026-01-16T09:05:01+01:00"),
        # Local mean time: an offset of FHIR has no seconds.
        ("18800116", "090501", "", "1880-01-16"),
        ("20260230", "090501", "", None),
        ("202601", "", "", None),
        ("2026.0116", "", "", None),
    ],
)
def test_date_time(day: str, time: str, offset: str, expected: str | None) -> None:
    assert run("date_time", day, time, offset) == expected


def test_without_any_zone_there_is_only_the_date() -> None:
    nowhere = replace(SETTINGS, zone=None)
    assert run("date_time", "20260116", "090501", None, settings=nowhere) == "2026-01-16"
    assert run("date_time", "20260116", "090501", "+0100", settings=nowhere) == "2026-01-16T09:05:01+01:00"
    assert run("date_time", "20260116") == "2026-01-16"


_PART = st.one_of(st.text(max_size=14), st.from_regex(r"[0-9.:+-]{0,14}", fullmatch=True), st.none())


@given(st.one_of(st.text(max_size=10), st.from_regex(r"\d{8}", fullmatch=True)), _PART, _PART)
def test_date_time_never_raises(day: str, time: str | None, offset: str | None) -> None:
    found = run("date_time", day, time, offset)
    assert found is None or len(found) == 10 or found[10] == "T"


# --- identifiers and references ---


def test_a_system_is_the_sites_own_or_one_of_the_authority_alone() -> None:
    assert system_of("HOSPITAL", SETTINGS) == "urn:oid:1.2.3"
    derived = system_of("ELSEWHERE", SETTINGS)
    assert derived.startswith("urn:uuid:")
    assert derived == system_of("ELSEWHERE", replace(SETTINGS, patient_id_issuer=""))
    assert derived != system_of("elsewhere", SETTINGS)


@pytest.mark.parametrize(
    ("issuer", "qualifiers", "system"),
    [
        ("HOSPITAL", None, "urn:oid:1.2.3"),
        (None, None, "urn:oid:1.2.3"),
        ("HOSPITAL", [{"UniversalEntityID": "9.9", "UniversalEntityIDType": "ISO"}], "urn:oid:1.2.3"),
        ("OTHER", [{"UniversalEntityID": "1.9", "UniversalEntityIDType": "ISO"}], "urn:oid:1.9"),
        ("OTHER", [{"UniversalEntityID": "1.9"}], "urn:oid:1.9"),
        ("OTHER", [{"UniversalEntityID": "http://x.example/ids", "UniversalEntityIDType": "URI"}], "http://x.example/ids"),
        ("OTHER", [{"UniversalEntityID": "6f7c1f0a-3a53-5e0e-9d0c-0c8a6c2f51d4", "UniversalEntityIDType": "UUID"}],
         "urn:uuid:6f7c1f0a-3a53-5e0e-9d0c-0c8a6c2f51d4"),
        # What is not of its type makes no URI.
        ("OTHER", [{"UniversalEntityID": "x.example", "UniversalEntityIDType": "DNS"}], system_of("OTHER", SETTINGS)),
        ("OTHER", [{"UniversalEntityID": "no oid", "UniversalEntityIDType": "ISO"}], system_of("OTHER", SETTINGS)),
        ("OTHER", [], system_of("OTHER", SETTINGS)),
    ],
)  # fmt: skip
def test_patient_reference(issuer: str | None, qualifiers: Any, system: str) -> None:
    found = run("patient_reference", "P1", issuer, qualifiers, "Doe^Jane")
    identifier = typed("MR", "Medical record number", system, "P1")
    assert found == {"type": "Patient", "identifier": identifier, "display": "Jane Doe"}


def test_a_patient_without_any_issuer_is_the_sites_own() -> None:
    """Under a system of its own, which no other site's patients and no named authority's have."""
    here, there = FhirSettings(None, site_name="Here"), FhirSettings(None, site_name="There")
    systems = [
        run("patient_reference", "P1", None, None, None, settings=settings)["identifier"]["system"]
        for settings in (here, there, replace(here, patient_id_issuer="Here"))
    ]
    assert len(set(systems)) == 3
    assert all(system.startswith("urn:uuid:") for system in systems)
    known = [{"UniversalEntityID": "1.9", "UniversalEntityIDType": "ISO"}]
    found = run("patient_reference", "P1", None, known, None, settings=here)
    assert found["identifier"]["system"] == "urn:oid:1.9"
    assert "display" not in found


def test_accession_identifier() -> None:
    local = [{"LocalNamespaceEntityID": "RIS"}]
    universal = [{"LocalNamespaceEntityID": "RIS", "UniversalEntityID": "1.9", "UniversalEntityIDType": "ISO"}]
    own = replace(SETTINGS, order_systems={"RIS": "http://ris.example"})
    for items, settings, system in (
        (None, SETTINGS, order_system_of("HOSPITAL", SETTINGS)),
        (local, SETTINGS, order_system_of("RIS", SETTINGS)),
        (universal, SETTINGS, "urn:oid:1.9"),
        (universal, own, "http://ris.example"),
        (None, FhirSettings(None), order_system_of("accession", SETTINGS)),
    ):
        found = run("accession_identifier", "A1", items, settings=settings)
        assert found == typed("ACSN", "Accession ID", system, "A1")


def test_order_references_take_the_first_number_there_is() -> None:
    def linked(accession: str, placer: str, filler: str) -> LinkedOrder:
        return LinkedOrder(AccessionNumber(accession), "RIS", placer, "EHR", filler, "RIS")

    ris, ehr = order_system_of("RIS", SETTINGS), order_system_of("EHR", SETTINGS)
    found = run(
        "order_references",
        [linked("A1", "PL1", "FI1"), linked("", "PL2", "FI2"), linked("", "", "FI3"), linked("", "", "")],
    )
    assert found == [
        {"type": "ServiceRequest", "identifier": typed("ACSN", "Accession ID", ris, "A1")},
        {"type": "ServiceRequest", "identifier": typed("PLAC", "Placer Identifier", ehr, "PL2")},
        {"type": "ServiceRequest", "identifier": typed("FILL", "Filler Identifier", ris, "FI3")},
    ]


# --- codes ---


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"CodeValue": "121181", "CodingSchemeDesignator": "DCM", "CodeMeaning": "DICOM SR"},
         {"system": DCM, "code": "121181", "display": "DICOM SR"}),
        ({"CodeValue": "43799004", "CodingSchemeDesignator": "SCT"}, {"system": SCT, "code": "43799004"}),
        # SNOMED RT of old becomes SNOMED CT.
        ({"CodeValue": "T-D3000", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Chest"},
         {"system": SCT, "code": "51185008", "display": "Chest"}),
        ({"CodeValue": "T-D3000", "CodingSchemeDesignator": "SNM3"}, {"system": SCT, "code": "51185008"}),
        ({"CodeValue": "T-NONE", "CodingSchemeDesignator": "SRT"}, None),
        # A local scheme has a system only when the sender tells its UID; a bare designator is no URI.
        ({"CodeValue": "X", "CodingSchemeDesignator": "99LOCAL"}, None),
        ({"CodeValue": "X", "CodingSchemeDesignator": "99LOCAL", "CodingSchemeUID": "1.9"},
         {"system": "urn:oid:1.9", "code": "X"}),
        ({"LongCodeValue": "a-code-of-more-than-16", "CodingSchemeDesignator": "LN"},
         {"system": "http://loinc.org", "code": "a-code-of-more-than-16"}),
        ({"CodeMeaning": "no code", "CodingSchemeDesignator": "SCT"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_coding(item: dict[str, str], expected: dict[str, str] | None) -> None:
    assert coding(item, SETTINGS) == expected


def test_codeable_concepts_keep_local_codes_as_text() -> None:
    known = {"CodeValue": "43799004", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Chest"}
    local = {"CodeValue": "X", "CodingSchemeDesignator": "99LOCAL", "CodeMeaning": "Their chest"}
    assert run("codeable_concepts", [known, local, {"CodeValue": "Y"}, {}]) == [
        {"coding": [{"system": SCT, "code": "43799004", "display": "Chest"}], "text": "Chest"},
        {"text": "Their chest"},
        {"text": "Y"},
    ]
    assert run("codeable_concepts", "chest pain") == [{"text": "chest pain"}]


def test_modalities_are_those_of_the_table() -> None:
    names = {"CT": "Computed Tomography", "MR": ""}
    ct = {"system": DCM, "code": "CT", "display": "Computed Tomography"}
    empty = Codes("m", names, "empty")
    assert run("modalities", ["SR", "MR", "CT", "CT"], codes=empty) == [ct, {"system": DCM, "code": "MR"}]
    assert run("modalities", "CT", codes=empty) == [ct]
    assert run("modalities", ["SR"], codes=Codes("m", names, "keep")) == [{"system": DCM, "code": "SR"}]
    with pytest.raises(UnknownCode, match="'SR' is not in the table 'm'"):
        run("modalities", ["SR"], codes=Codes("m", names, "reject"))


def test_body_site() -> None:
    chest = {"system": SCT, "code": "43799004", "display": "Chest"}
    region = {"CodeValue": "43799004", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Chest"}
    assert run("body_site", [region], codes=BODY) == chest
    assert run("body_site", [{"CodeValue": "X", "CodingSchemeDesignator": "99LOCAL"}], codes=BODY) is None
    assert run("body_site", " chest ", codes=BODY) == chest
    assert run("body_site", "CHE ST_", codes=BODY) == chest
    assert run("body_site", "HEAD", codes=BODY) == {"system": SCT, "code": "69536005"}
    assert run("body_site", "Elbow", codes=BODY) == {"display": "Elbow"}
    assert run("body_site", "Elbow", codes=replace(BODY, unknown="empty")) is None
    assert run("body_site", "Elbow") == {"display": "Elbow"}
    with pytest.raises(UnknownCode):
        run("body_site", "Elbow", codes=replace(BODY, unknown="reject"))


@pytest.mark.parametrize(
    ("value", "code"), [("L", "7771000"), ("r ", "24028007"), ("B", "51440002"), ("U", None), ("X", None)]
)
def test_laterality(value: str, code: str | None) -> None:
    found = run("laterality", value)
    assert (found["system"], found["code"]) == (SCT, code) if code else found is None


def test_different_sides_are_none() -> None:
    left, right, front = (
        {"CodeValue": code, "CodingSchemeDesignator": "SCT"} for code in ("7771000", "24028007", "255549009")
    )
    assert run("laterality", [front, left])["code"] == "7771000"
    for stated in ([left, right], ["L", "R"], ["L", "U"]):
        with pytest.raises(InvalidValue, match="different sides"):
            FUNCTIONS["laterality"].function(stated, (), None, SETTINGS)


@pytest.mark.parametrize(("name", "code"), [("performers", "PRF"), ("operators", "SPRF")])
def test_performers(name: str, code: str) -> None:
    first, second = run(name, ["Doe^Jane", "Roe"])
    (function,) = first["function"]["coding"]
    assert (function["system"], function["code"]) == (PARTICIPATION, code)
    assert (first["actor"], second["actor"]) == ({"display": "Jane Doe"}, {"display": "Roe"})
