"""Which repetition of an identifier or a person counts, whatever its place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mapping.samples import MSH, OBR, ORC, PID, SITE, fields, only, said

HOSPITAL = replace(SITE, patient_id_issuer="HOSPITAL")
LEGAL, ALIAS, OURS = "^Smith^Ann^^^^^^^L", "^Jones^Ann^^^^^^^A", "7^Miller^Ada^^^^^^HOSPITAL"
NULL = '""'


@pytest.mark.parametrize(
    ("repetitions", "name", "has_finding"),
    [
        ((LEGAL,), "Smith^Ann", False),
        ((NULL, LEGAL), "Smith^Ann", False),
        (("", "12", LEGAL), "Smith^Ann", False),
        ((ALIAS, LEGAL), "Smith^Ann", False),
        ((LEGAL, ALIAS), "Smith^Ann", False),
        ((ALIAS, LEGAL, OURS), "Miller^Ada", False),
        (("^Smith^Ann", "^Jones^Ann"), "Smith^Ann", True),
        (("1^Smith^Ann^^^^^^NPI", "2^Smith^Ann^^^^^^LOCAL"), "Smith^Ann", False),
        (("12", NULL), None, False),
    ],
)
@pytest.mark.parametrize(
    ("keyword", "segment", "field"),
    [
        ("RequestingPhysician", "OBR", 16), ("RequestingPhysician", "ORC", 12), ("OrderEnteredBy", "ORC", 10),
        ("ReferringPhysicianName", "PV1", 8),
    ],
)  # fmt: skip
def test_a_person_counts_by_authority_and_type_of_the_name(
    repetitions: tuple[str, ...], name: str | None, has_finding: bool, keyword: str, segment: str, field: int
) -> None:
    written = "~".join(repetitions)
    orc, obr = (text.split("|") + [""] * 20 for text in (ORC, OBR))
    for fields_of in (orc, obr):
        if fields_of[0] == segment:
            fields_of[field] = written
    visit = [fields("PV1", f8=written)] if segment == "PV1" else []
    one = only(MSH, PID, *visit, "|".join(orc), "|".join(obr), settings=HOSPITAL)
    assert one.order.get(keyword) == name
    assert [str(finding.place) for finding in one.findings] == [f"{segment}-{field}"] * has_finding


def test_the_visit_number_is_the_repetition_of_its_type() -> None:
    visit = fields("PV1", f19="A1^^^BILLING^XX~V1^^^HOSPITAL^VN")
    assert said(MSH, PID, visit, ORC, OBR)["AdmissionID"] == "V1"
