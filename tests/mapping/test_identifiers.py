"""Identifiers that the gateway gives when a message has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.mapping.identifiers import DERIVATIONS, Known, derived_uid, short_id
from gateway.mapping.language.values import fit, vr_of

KNOWN = Known({"AccessionNumber": "A1", "RequestedProcedureID": "RP1"}, "IMAGING", "PL1", "FI1", 0)
LONG = "a-filler-number-of-36-characters-xyz"


def derive(name: str, known: Known) -> str:
    return DERIVATIONS[name](known)


def test_the_values_never_change() -> None:
    # Stored studies and worklists carry these; another value would make one examination two.
    assert derived_uid("study", "IMAGING", "A1", "RP1") == "2.25.140762021318079494053778291207565832612"
    assert short_id("A", "IMAGING", LONG) == "AE4FARBT22XPNI3U"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accession_number", "FI1"),
        ("requested_procedure_id", "FI1"),
        ("scheduled_procedure_step_id", "RP1"),
    ],
)
def test_a_number_that_fits_is_taken_as_it_is(name: str, expected: str) -> None:
    assert derive(name, KNOWN) == expected


def test_filler_before_placer_before_accession() -> None:
    placed = replace(KNOWN, filler="")
    assert derive("accession_number", placed) == derive("requested_procedure_id", placed) == "PL1"
    bare = replace(placed, placer="")
    assert (derive("accession_number", bare), derive("requested_procedure_id", bare)) == ("", "A1")


@pytest.mark.parametrize("name", ["accession_number", "requested_procedure_id"])
def test_a_number_that_does_not_fit_becomes_a_short_id_of_it_and_its_issuer(name: str) -> None:
    long = replace(KNOWN, filler=LONG)
    short = derive(name, long)
    assert len(short) == 16
    assert fit("SH", short, too_long="reject") == (short, "")
    assert derive(name, replace(long)) == short
    assert derive(name, replace(long, authority="OTHER")) != short
    assert derive(name, replace(long, filler=LONG + "1")) != short
    assert derive(name, replace(KNOWN, filler="1234567890123456")) == "1234567890123456"


def test_the_study_uid_tells_sites_accessions_and_procedures_apart() -> None:
    uid = derive("study_instance_uid", KNOWN)
    assert fit("UI", uid, too_long="reject") == (uid, "")
    assert uid == derive("study_instance_uid", replace(KNOWN, position=3))
    others = [
        replace(KNOWN, authority="OTHER"),
        replace(KNOWN, attributes={"AccessionNumber": "A2", "RequestedProcedureID": "RP1"}),
        replace(KNOWN, attributes={"AccessionNumber": "A1", "RequestedProcedureID": "RP2"}),
        # The parts are kept apart: "A1" and "RP1" is not "A" and "1RP1".
        replace(KNOWN, attributes={"AccessionNumber": "A", "RequestedProcedureID": "1RP1"}),
    ]
    assert len({uid, *(derive("study_instance_uid", other) for other in others)}) == 5


def test_steps_are_counted_from_the_second_on() -> None:
    assert derive("scheduled_procedure_step_id", replace(KNOWN, position=1)) == "RP1-2"
    wide = replace(KNOWN, attributes={"RequestedProcedureID": "1234567890123456"})
    assert derive("scheduled_procedure_step_id", wide) == "1234567890123456"
    second, third = (derive("scheduled_procedure_step_id", replace(wide, position=n)) for n in (1, 2))
    assert len(second) == len(third) == 16
    assert second != third


def test_every_derivation_fits_its_attribute() -> None:
    targets = {
        "accession_number": "AccessionNumber",
        "requested_procedure_id": "RequestedProcedureID",
        "study_instance_uid": "StudyInstanceUID",
        "scheduled_procedure_step_id": "ScheduledProcedureStepID",
    }
    assert set(targets) == set(DERIVATIONS)
    known = Known({"RequestedProcedureID": "1234567890123456"}, "IMAGING", "", LONG, 99)
    for name, target in targets.items():
        value = derive(name, known)
        assert fit(vr_of(target), value, too_long="reject") == (value, "")
