"""The named functions of the order mapping: HL7 data types to DICOM values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import InvalidValue
from gateway.mapping.orders.functions import FUNCTIONS, apply
from gateway.mapping.orders.paths import compile_path
from gateway.mapping.orders.times import micros, offset_of, parse_dtm
from tests.mapping.samples import SITE, field, scope

BERLIN = ZoneInfo("Europe/Berlin")


def run(name: str, written: str) -> Any:
    return apply(FUNCTIONS[name], field(written), SITE)


CASES: list[tuple[str, str, Any]] = [
    ("text", "a^b~c", "a"),
    ("text", " a ", "a"),
    ("text", "^b", ""),
    ("texts", "a^x~b~^y~c", ["a", "b", "c"]),
    ("lines", "first~second\\T\\third", "first\r\nsecond&third"),
    ("text_or_code", "C^Text", "Text"),
    ("text_or_code", "C", "C"),
    ("texts_or_codes", "C^Text~D~^^L~^Only", ["Text", "D", "Only"]),
    ("address", "Elm St 1&Elm St&1^Apt 2^Town^ST^12345^DE^H", "Elm St 1, Apt 2, Town, ST, 12345, DE"),
    ("address", "^^Town", "Town"),
    ("location", "WARD^12^B^HOSP^X", "WARD 12 B HOSP"),
    ("location", "WARD^^B", "WARD B"),
]


@pytest.mark.parametrize(("name", "written", "expected"), CASES)
def test_texts(name: str, written: str, expected: Any) -> None:
    assert run(name, written) == expected


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"weight", "height"}))
def test_an_empty_field_gives_nothing(name: str) -> None:
    assert apply(FUNCTIONS[name], [], SITE) in ("", [])


def test_a_function_gives_what_its_entry_says() -> None:
    for name, entry in FUNCTIONS.items():
        is_list = entry.function.__annotations__["return"] == "list[str]"
        assert is_list == entry.is_list, f"{name}: a row is compiled for a text or for a list of them"


# --- names ---

NAMES: list[tuple[str, str]] = [
    ("Doe^Jane", "Doe^Jane"),
    # XPN has suffix, prefix; PN has prefix, suffix (PS3.5 6.2.1.1).
    ("Doe^Jane^Ann^Jr^Dr", "Doe^Jane^Ann^Dr^Jr"),
    # The degree joins the suffix.
    ("Doe^Jane^^Jr^^MD", "Doe^Jane^^^Jr MD"),
    ("Doe^Jane^^^^MD", "Doe^Jane^^^MD"),
    # FN: component 1 is the whole surname, unless it is empty or the own surname without its prefix.
    ("Beek&van&Beek^Anna", "van Beek^Anna"),
    ("van Beek&van&Beek^Anna", "van Beek^Anna"),
    ("Vandenberg&van^Anna", "Vandenberg^Anna"),
    ("Jansen-de Vries&de&Vries&&Jansen^Anna", "Jansen-de Vries^Anna"),
    ("&de&Vries^Jan", "de Vries^Jan"),
    ("&&&van&Dijk^Anna", "van Dijk^Anna"),
    ("d'Arc&d'^Jeanne", "d'Arc^Jeanne"),
    # Delimiters of PN inside a part.
    ("Doe\\S\\Roe^J=A\\E\\B", "Doe Roe^J A B"),
    # Types: legal before display before none before the rest.
    ("Nick^Name^^^^^N~Doe^Jane^^^^^L~Doe^J^^^^^D", "Doe^Jane"),
    ("Nick^Name^^^^^N~Doe^J^^^^^D", "Doe^J"),
    ("Nick^Name^^^^^N~Doe^J", "Doe^J"),
    ("Maiden^Jane^^^^^M~Alias^Jane^^^^^A", "Maiden^Jane"),
    # Writings: A, I, P.
    ("Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("山田^太郎^^^^^L^I~Yamada^Tarou^^^^^L^A", "Yamada^Tarou=山田^太郎"),
    ("Yamada^Tarou^^^^^L^A~やまだ^たろう^^^^^L^P", "Yamada^Tarou==やまだ^たろう"),
    ("山田^太郎^^^^^L^I", "=山田^太郎"),
    # Another name's writing is not this one's.
    ("Yamada^Tarou^^^^^L^A~鈴木^太郎^^^^^M^I", "Yamada^Tarou"),
    ("^^^^^^L", ""),
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_person_name(written: str, name: str) -> None:
    assert run("person_name", written) == name


def test_provider_names() -> None:
    assert run("provider_name", "77^Quill^Nora^B^III^Dr^MD~78^Roe^Ann") == "Quill^Nora^B^Dr^III MD"
    assert run("provider_name", "77") == ""
    assert run("provider_names", "77^Quill^Nora~78~79^Roe^Ann") == ["Quill^Nora", "Roe^Ann"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("55&Tech&Tom&&&Mr^20260101", "Tech^Tom^^Mr"),
        ("55^Tech^Tom", "Tech^Tom"),
        ("55", ""),
        ("55&Tech", "Tech"),
    ],
)
def test_technician_name_in_subcomponents_or_components(written: str, name: str) -> None:
    assert run("technician_name", written) == name


# --- dates and times ---

MOMENTS: list[tuple[str, datetime, int]] = [
    ("2024", datetime(2024, 1, 1, tzinfo=BERLIN), 4),
    ("202402", datetime(2024, 2, 1, tzinfo=BERLIN), 6),
    ("20240203", datetime(2024, 2, 3, tzinfo=BERLIN), 8),
    ("2024020304", datetime(2024, 2, 3, 4, tzinfo=BERLIN), 10),
    ("202402030405", datetime(2024, 2, 3, 4, 5, tzinfo=BERLIN), 12),
    ("20240203040506", datetime(2024, 2, 3, 4, 5, 6, tzinfo=BERLIN), 14),
    ("20240203040506.7", datetime(2024, 2, 3, 4, 5, 6, 700_000, tzinfo=BERLIN), 14),
    ("20240203040506.1234567", datetime(2024, 2, 3, 4, 5, 6, 123_456, tzinfo=BERLIN), 14),
    ("20240203040506-0500", datetime(2024, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-5))), 14),
    ("202402030405+0530", datetime(2024, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))), 12),
    ("202402-0500", datetime(2024, 2, 1, tzinfo=timezone(timedelta(hours=-5))), 6),
    ("20240203040506Z", datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC), 14),
    # 24:00 is the next day's midnight; a leap second is the one before it.
    ("202402282400", datetime(2024, 2, 29, tzinfo=BERLIN), 12),
    ("20241231240000", datetime(2025, 1, 1, tzinfo=BERLIN), 14),
    ("20161231235960", datetime(2016, 12, 31, 23, 59, 59, tzinfo=BERLIN), 14),
    # Seen in the wild.
    ("202401151030.5", datetime(2024, 1, 15, 10, 30, tzinfo=BERLIN), 12),
    ("2024-01-15T10:30", datetime(2024, 1, 15, 10, 30, tzinfo=BERLIN), 12),
    ("2024-01-15 10:30:05+01:00", datetime(2024, 1, 15, 10, 30, 5, tzinfo=timezone(timedelta(hours=1))), 14),
    ("20240115 1030", datetime(2024, 1, 15, 10, 30, tzinfo=BERLIN), 12),
    ("2024011510301", datetime(2024, 1, 15, 10, 30, tzinfo=BERLIN), 12),
    ("20240115103005123", datetime(2024, 1, 15, 10, 30, 5, 123_000, tzinfo=BERLIN), 14),
    (" 20240115 ", datetime(2024, 1, 15, tzinfo=BERLIN), 8),
]


@pytest.mark.parametrize(("written", "moment", "digits"), MOMENTS)
def test_dtm(written: str, moment: datetime, digits: int) -> None:
    found = parse_dtm(written, BERLIN)
    assert found == (moment, digits)
    assert found[0].utcoffset() == moment.utcoffset()


@pytest.mark.parametrize(
    "written",
    [
        "",
        "x",
        "24",
        "2024011",
        "202401151",
        "20240230",
        "20241301",
        "20240115250000",
        "202401152430",
        "20240115106000",
        "20240115103061",
        "20240115+9900",
        "20240115+0075",
        "99991231240000",
        "00010101000000+1400",
        "٢٠٢٤٠١١٥",
        "20240115103005 CET",
        "2024/01/15",
    ],
)
def test_what_is_no_dtm(written: str) -> None:
    with pytest.raises(InvalidValue):
        parse_dtm(written, BERLIN)


def test_a_time_in_a_gap_or_an_overlap_of_the_zone_is_the_first_reading() -> None:
    assert parse_dtm("202410270230", BERLIN)[0].utcoffset() == timedelta(hours=2)
    assert run("time", "202403310230") == "023000"


@pytest.mark.parametrize(
    ("written", "date", "time", "start"),
    [
        ("20260116", "20260116", "", "000000"),
        ("2026011609", "20260116", "090000", "090000"),
        ("20260116090501.9", "20260116", "090501", "090501"),
        # An offset is converted to the site's zone, over midnight too; a day alone is never moved.
        ("20260116233000+0000", "20260117", "003000", "003000"),
        ("20260116+1400", "20260116", "", "000000"),
    ],
)
def test_dates_and_times_of_the_site(written: str, date: str, time: str, start: str) -> None:
    assert (run("date", written), run("time", written), run("start_time", written)) == (date, time, start)


def test_a_month_is_no_date_of_a_step() -> None:
    with pytest.raises(InvalidValue, match="names no day"):
        run("date", "202601")


def test_the_offset_of_the_message_holds_for_its_times() -> None:
    settings = replace(SITE, message_zone=UTC)
    assert apply(FUNCTIONS["date"], field("202601162330"), settings) == "20260117"
    assert apply(FUNCTIONS["time"], field("202601162330"), settings) == "003000"
    assert apply(FUNCTIONS["time"], field("202601162330+0100"), settings) == "233000"
    assert apply(FUNCTIONS["date"], field("20260116"), settings) == "20260116"


@pytest.mark.parametrize(
    ("written", "offset"),
    [
        ("20260116+0100", timedelta(hours=1)),
        ("20260116Z", timedelta(0)),
        ("20260116", None),
        ("", None),
        ("2026+9999", None),
    ],
)
def test_offset_of(written: str, offset: timedelta | None) -> None:
    zone = offset_of(written)
    assert (zone.utcoffset(None) if zone else None) == offset


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("19800102", "19800102"),
        # As written, whatever zone it was written in.
        ("19800102233000-1000", "19800102"),
        ("09990102", "09990102"),
    ],
)
def test_birth_date(written: str, day: str) -> None:
    assert run("birth_date", written) == day


@pytest.mark.parametrize("written", ["1980", "198001"])
def test_a_birth_date_without_a_day_is_none_for_dicom(written: str) -> None:
    with pytest.raises(InvalidValue, match="names no day"):
        run("birth_date", written)


def test_micros() -> None:
    assert micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)) == 1_000_005
    assert micros(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == 253_402_300_799_999_999


@given(st.one_of(st.text(max_size=30), st.from_regex(r"\d{4,20}(\.\d{0,8})?([+-]\d{4})?", fullmatch=True)))
@example("00010101000000+1400")
@example("99991231235959-1400")
def test_dates_raise_nothing_but_invalid_value(written: str) -> None:
    value = [[[written]]]
    for name in ("date", "birth_date", "time", "start_time"):
        try:
            found = apply(FUNCTIONS[name], value, SITE)
        except InvalidValue:
            continue
        assert found == "" or (found.isascii() and found.isdigit() and len(found) == (8 if "date" in name else 6))


# --- codes and issuers ---


@pytest.mark.parametrize(
    ("written", "code", "scheme", "meaning"),
    [
        ("CT1^CT chest^99RIS", "CT1", "99RIS", "CT chest"),
        ("CT1", "CT1", "99LOCAL", "CT1"),
        ("CT1^CT chest", "CT1", "99LOCAL", "CT chest"),
        ("CT1^^L", "CT1", "99LOCAL", "CT1"),
        ("T-D4000^Abdomen^SNM", "T-D4000", "SRT", "Abdomen"),
        ("24627-2^Chest CT^LN", "24627-2", "LN", "Chest CT"),
    ],
)
def test_code_sequence(written: str, code: str, scheme: str, meaning: str) -> None:
    item = {"CodeValue": code, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
    assert run("code_sequence", written) == [item]


def test_code_sequence_of_repetitions_and_of_none() -> None:
    assert [item["CodeValue"] for item in run("code_sequence", "A~B^b^L~^text only")] == ["A", "B"]
    (item,) = run("code_sequence", "A-code-of-more-than-16^Meaning^L")
    assert item["LongCodeValue"] == "A-code-of-more-than-16"
    assert "CodeValue" not in item


@pytest.mark.parametrize(
    ("written", "item"),
    [
        ("NS", {"LocalNamespaceEntityID": "NS"}),
        (
            "NS^1.2.3^ISO",
            {"LocalNamespaceEntityID": "NS", "UniversalEntityID": "1.2.3", "UniversalEntityIDType": "ISO"},
        ),
        ("^1.2.3", {"UniversalEntityID": "1.2.3", "UniversalEntityIDType": "ISO"}),
        ("^a.example^DNS", {"UniversalEntityID": "a.example", "UniversalEntityIDType": "DNS"}),
        (
            "^6f7c1f0a-3a53-5e0e-9d0c-0c8a6c2f51d4^GUID",
            {"UniversalEntityID": "6f7c1f0a-3a53-5e0e-9d0c-0c8a6c2f51d4", "UniversalEntityIDType": "UUID"},
        ),
        # A universal id needs its type: told, or plain to see.
        ("NS^whatever^L", {"LocalNamespaceEntityID": "NS"}),
        ("NS^whatever", {"LocalNamespaceEntityID": "NS"}),
    ],
)
def test_issuer_sequence(written: str, item: dict[str, str]) -> None:
    assert run("issuer_sequence", written) == [item]
    universal = {key: text for key, text in item.items() if key != "LocalNamespaceEntityID"}
    assert run("universal_issuer_sequence", written) == ([universal] if universal else [])


def test_an_issuer_that_says_nothing_is_no_item() -> None:
    assert run("issuer_sequence", "^whatever^L") == []
    assert run("universal_issuer_sequence", "NS") == []


def test_other_identifiers_are_all_but_the_first() -> None:
    assert run("other_identifiers", "1^^^A^MR~2^^^B^SS~3~^^^C") == [
        {"PatientID": "2", "TypeOfPatientID": "TEXT", "IssuerOfPatientID": "B"},
        {"PatientID": "3", "TypeOfPatientID": "TEXT"},
    ]


# --- measures ---


@pytest.mark.parametrize(
    ("measured", "units", "name", "expected"),
    [
        ("70", "kg", "weight", "70"),
        ("70.55", "KG", "weight", "70.55"),
        ("3500", "g", "weight", "3.5"),
        ("154", "lb", "weight", "69.85"),
        ("154", "lbs", "weight", "69.85"),
        ("100", "oz", "weight", "2.835"),
        ("70", "stone", "weight", ""),
        ("70", "", "weight", ""),
        ("heavy", "kg", "weight", ""),
        ("nan", "kg", "weight", ""),
        ("1e999", "kg", "weight", ""),
        ("-3", "kg", "weight", ""),
        ("180", "cm", "height", "1.8"),
        ("1.8", "m", "height", "1.8"),
        ("71", "in", "height", "1.803"),
        ("6", "ft", "height", "1.829"),
    ],
)
def test_measures(measured: str, units: str, name: str, expected: str) -> None:
    label = {"weight": "Body Weight", "height": "Body Height"}[name]
    found = compile_path("OBX*")(scope("OBX|1|NM|x^Pulse||80", f"OBX|2|NM|y^{label.upper()}||{measured}|{units}"))
    assert apply(FUNCTIONS[name], found or [], SITE) == expected


def test_a_measure_that_cannot_be_read_gives_way_to_the_next() -> None:
    found = compile_path("OBX*")(scope("OBX|1|NM|Body Weight||?|kg", "OBX|2|NM|Body Weight||70|kg"))
    assert apply(FUNCTIONS["weight"], found or [], SITE) == "70"
