"""Paths into an HL7 message."""

from __future__ import annotations

import pytest

from gateway.mapping.orders.paths import SETTINGS, check, compile_leaf, compile_path, keys_of
from gateway.mapping.orders.scope import Scope, Value
from tests.mapping.samples import MSH, PID, RECEIVED, SITE, scope

OBR = "OBR|1|||C^Text^S^P^Protocol^T|a~b~c"
SCOPE = scope(
    OBR, "IPC|A1&x^NS&sub", "AL1|1||one^One", "AL1|2||two^Two", 'ORC|""', 'ZZZ|""^b^""&c', "NTE|1||order note",
    patient=(MSH, PID, "NTE|1||patient note", "AL1|1||patient's"),
)  # fmt: skip

FORMS: list[tuple[str, Value]] = [
    ("OBR-4", [[["C"], ["Text"], ["S"], ["P"], ["Protocol"], ["T"]]]),
    ("OBR-4.2", [[["Text"]]]),
    ("OBR-4.9", []),
    ("OBR-4.4-6", [[["P"], ["Protocol"], ["T"]]]),
    ("OBR-4.5-9", [[["Protocol"], ["T"]]]),
    ("OBR-5", [[["a"]]]),
    ("OBR-5*", [[["a"]], [["b"]], [["c"]]]),
    ("OBR-5*.1", [[["a"]], [["b"]], [["c"]]]),
    ("OBR-30", []),
    ("IPC-1", [[["A1", "x"], ["NS", "sub"]]]),
    ("IPC-1.1", [[["A1"], ["x"]]]),
    ("IPC-1.2.2", [[["sub"]]]),
    ("IPC-1.2.3", []),
    ("AL1-3.2", [[["One"]]]),
    ("AL1*-3.2", [[["One"]], [["Two"]]]),
    ("PATIENT/AL1-3", [[["patient's"]]]),
    ("NTE-3", [[["order note"]]]),
    ("PATIENT/NTE-3", [[["patient note"]]]),
    ("PID-5.1", [[["Doe"]]]),
    ("MSH-4", [[["IMAGING"]]]),
    ("MSH-1", [[["|"]]]),
    ("TQ1-7", []),
    # A component "" is empty, only a field is null (HL7 2.5.1 ch. 2.5.3).
    ("ZZZ-1", [[[""], ["b"], ["", "c"]]]),
    ("ZZZ-1.1", []),
    ("site.name", [[["North Hospital"]]]),
    ("source.station_aes", [[["CT1"]], [["CT2"]]]),
    ("source.received_at", [[["20300317174640+0000"]]]),
]


@pytest.mark.parametrize(("path", "value"), FORMS)
def test_a_path_finds(path: str, value: Value) -> None:
    assert check(path) is None
    assert compile_path(path)(SCOPE) == value


@pytest.mark.parametrize(("path", "value"), FORMS)
def test_the_first_leaf_is_that_of_the_whole_value(path: str, value: Value) -> None:
    leaf = compile_leaf(path)
    if leaf is None:
        assert "*" in path or path in SETTINGS
    else:
        assert leaf(SCOPE) == (value[0][0][0] if value else "")


def test_a_null_is_not_an_empty_field() -> None:
    leaf = compile_leaf("ORC-1")
    assert leaf is not None
    assert compile_path("ORC-1")(SCOPE) is None
    assert leaf(SCOPE) is None
    assert compile_path("ORC-1.1")(SCOPE) is None
    assert compile_path("ORC-2")(SCOPE) == []


def test_a_segment_as_a_whole_has_fields_for_components() -> None:
    (value,) = compile_path("OBX*")(scope("OBX|1|NM|w^Body Weight||70|kg")) or []
    assert (value[2], value[4], value[5]) == (["w", "Body Weight"], ["70"], ["kg"])
    assert len(compile_path("OBX*")(scope("OBX|1", "OBX|2")) or []) == 2
    assert len(compile_path("OBX")(scope("OBX|1", "OBX|2")) or []) == 1


def test_an_empty_setting_says_nothing() -> None:
    bare = Scope({}, {}, type(SITE)(SITE.zone), RECEIVED)
    assert compile_path("site.patient_id_issuer")(bare) == []
    assert compile_path("source.station_aes")(bare) == []


@pytest.mark.parametrize(
    "path",
    [
        "OBR.4",
        "OBR-",
        "OBR-0",
        "OBR-4.0",
        "obr-4",
        "OB-4",
        "OBR-4.1.0",
        "OBR-4.1.1.1",
        "OBR-4**",
        "ORDER/NTE-3",
        "OBR-4-",
        "OBR-4.2-1",
        "OBR-4.2-2",
        "OBR-4.1-2.1",
        "site.zone",
        "source.",
        "",
        "OBR 4",
        "OBR-100",
        "OBR-٤",
    ],
)
def test_what_is_no_path_is_named(path: str) -> None:
    fault = check(path)
    assert fault is not None
    assert repr(path) in fault


def test_a_scope_knows_what_its_segments_say() -> None:
    within = scope("OBR|1||x", "AL1|||first", "AL1||second", patient=(PID, "AL1|||patient's"))
    assert {"OBR", "OBR-1", "OBR-3", "AL1", "AL1-3", "PID", "PID-3"} <= within.stated_keys
    assert not {"OBR-2", "AL1-2", "ZDS"} & within.stated_keys
    assert keys_of(["OBR-4.2", "OBR-4.1", "AL1*-3", "OBX*"]) == frozenset({"OBR-4", "AL1", "OBX"})
    assert keys_of(["OBR-4", "site.name"]) is None
    assert keys_of(["PATIENT/NTE*-3"]) is None
