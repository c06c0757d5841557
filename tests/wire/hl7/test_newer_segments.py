"""Segments of HL7 2.9 in messages that claim an older version: no fault where 2.9 has them, in every served type."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.wire.hl7.newer_segments import without_newer
from gateway.wire.hl7.structure import Severity, check

GENDER = ("GSP|1|S||76691-5^Gender identity^LN|446151000124109^^SCT", "GSR|1|S", "GSC|1|S||male-typical")
PRT = "PRT|1|AD"
PATIENT = (*GENDER, PRT, "OH1|1|S", "OH2|1|S", "OH3|1|S", "OH4|1|S", "ARV|1|S")
EVN, PID, PV1 = "EVN||20260115083000", "PID|1||4711^^^N^MR||Doe^Jane^^^^^L||19800102|F", "PV1|1|O"
ORC, OBR, IPC = "ORC|NW|1^A|2^A||SC", "OBR|1|1^A|2^A|X^Y^L", "IPC|ACC|RP|1.2.3|SPS|CT^CT^DCM"
OBX = "OBX|1|ST|a^b^L||x||||||F"
SCH = "SCH|1|2||||a^b^L|c^d^L||||^^^20260115083000|||||1^N||||2^N"

SERVED: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "ORM^O01^ORM_O01": (
        (PID, PV1, ORC, OBR),
        (PID, *PATIENT, PV1, PRT, ORC, PRT, OBR, PRT, "REL|1"),
    ),
    "OMI^O23^OMI_O23": (
        (PID, ORC, OBR, IPC),
        ("ARV|1|S", PID, *PATIENT, ORC, OBR, PRT, "REL|1", f"{IPC}|||||S"),
    ),
    "OMG^O19^OMG_O19": ((PID, ORC, OBR), (PID, *PATIENT, ORC, OBR, PRT, "REL|1")),
    "ORU^R01^ORU_R01": ((PID, OBR, OBX), (PID, *PATIENT, OBR, PRT, OBX, PRT)),
    "SIU^S12^SIU_S12": ((SCH, PID, PV1, "RGS|1"), (SCH, PID, *PATIENT, PV1, "RGS|1")),
    "ADT^A08^ADT_A01": ((EVN, PID, PV1), ("ARV|1|S", EVN, PID, *PATIENT, PV1, "ARV|1|S")),
    "ADT^A31^ADT_A05": ((EVN, PID, PV1), (EVN, PID, *PATIENT, PV1)),
    "ADT^A40^ADT_A39": ((EVN, PID, "MRG|1^^^N"), (EVN, PID, *PATIENT, "MRG|1^^^N")),
}


def message(kind: str, version: str, segments: Sequence[str]) -> str:
    return "".join(f"{one}\r" for one in (f"MSH|^~\\&|A|B|C|D|20260115083000||{kind}|X|P|{version}", *segments))


def faults(text: str) -> list[str]:
    return [str(one) for one in check(text, "") if one.severity is Severity.STRUCTURE]


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1", "2.8.2"])
@pytest.mark.parametrize("kind", SERVED)
def test_newer_segments_pass_where_they_belong(kind: str, version: str) -> None:
    plain, newer = (message(kind, version, segments) for segments in SERVED[kind])
    assert without_newer(newer) == without_newer(plain) == plain
    assert faults(newer) == faults(plain)


@pytest.mark.parametrize("version", ["2.9", "2.9.1"])
def test_the_newest_versions_are_checked_too(version: str) -> None:
    assert faults(message("OMI^O23^OMI_O23", version, SERVED["OMI^O23^OMI_O23"][1])) == []
    lacking = faults(message("OMI^O23^OMI_O23", version, (PID, *GENDER, ORC, IPC)))
    assert any("OBR" in one for one in lacking)


@pytest.mark.parametrize(
    "segments", [(*GENDER, PID, ORC, OBR, IPC), (PID, ORC, OBR, *GENDER, IPC), (PID, ORC, "REL|1", OBR, IPC)]
)
def test_what_stands_elsewhere_stays_for_the_check(segments: Sequence[str]) -> None:
    text = message("OMI^O23^OMI_O23", "2.5.1", segments)
    assert without_newer(text) == text
