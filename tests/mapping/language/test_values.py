"""Fitting values to their value representations (PS3.5 6.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidValue, Rejected, ValueTooLong
from gateway.mapping.language.values import INTEGERS, MAX_LENGTH, NEVER_CUT, fit, vr_of

WIDEST = {
    "AE": "A" * 16,
    "CS": "A" * 16,
    "DA": "20260116",
    "DS": "1234567890.12345",
    "IS": "-002147483648"[:12],
    "LO": "x" * 64,
    "LT": "x" * 10240,
    "DT": "20260123235960.123456+0100",
    "PN": "x" * 64,
    "SH": "x" * 16,
    "ST": "x" * 1024,
    "TM": "235960.123456",
    "UI": "1." + "2" * 62,
}
"""For each VR with a limit a value that just fits."""


def test_every_limit_is_tried() -> None:
    assert set(WIDEST) == set(MAX_LENGTH) - {"UT", "UC", "UR"}
    assert all(len(text) == MAX_LENGTH[vr] for vr, text in WIDEST.items() if vr != "TM")


@pytest.mark.parametrize("vr", WIDEST)
def test_what_just_fits_is_kept(vr: str) -> None:
    assert fit(vr, WIDEST[vr], too_long="reject") == (WIDEST[vr], "")


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("AE", "A" * 17),
        ("CS", "A" * 17),
        ("DS", "1234567890.123456"),
        ("LO", "x" * 65),
        ("LT", "x" * 10241),
        ("SH", "x" * 17),
        ("ST", "x" * 1025),
        ("UI", "1." + "2" * 63),
    ],
)
def test_what_is_too_long_is_refused(vr: str, text: str) -> None:
    with pytest.raises(ValueTooLong, match=f"{len(text)} characters do not fit {vr}"):
        fit(vr, text, too_long="reject")
    if vr in NEVER_CUT:
        with pytest.raises(ValueTooLong):
            fit(vr, text, too_long="cut")
    else:
        cut, remark = fit(vr, text, too_long="cut")
        assert (cut, remark) == (text[:-1], f"cut from {len(text)} to at most {len(text) - 1} characters")


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("AE", "Ä"),
        ("CS", "a-b"),
        ("DA", "20260230"),
        ("DA", "2026-01-16"),
        ("DA", "00000101"),
        ("DS", "1,5"),
        ("DS", "nan"),
        ("IS", "1.5"),
        ("IS", "2147483648"),
        ("TM", "2400"),
        ("TM", "0960"),
        ("TM", "9"),
        ("UI", "1"),
        ("UI", "1.02"),
        ("UI", "1..2"),
        ("UI", "x"),
        ("US", "65536"),
        ("US", "-1"),
        ("SS", "x"),
        ("UL", "1_0"),
    ],
)
def test_what_can_never_be_of_a_vr_is_refused(vr: str, text: str) -> None:
    with pytest.raises(InvalidValue, match=r"^'.*' is not a"):
        fit(vr, text, too_long="cut")


@pytest.mark.parametrize(
    ("vr", "text", "fitted"),
    [
        ("LO", " a\tb\r\nc ", "a b c"),
        ("LO", "a\\b", "a/b"),
        ("SH", "a\\b", "a/b"),
        ("PN", "A\\B^C", "A B^C"),
        ("AE", "A\\B", "AB"),
        ("CS", " ct ", "CT"),
        ("LT", " one\r\ntwo\x07 ", " one\r\ntwo"),
        ("ST", "one\ttwo\x1b", "one\ttwo"),
        ("UI", " 1.2.3 ", "1.2.3"),
        ("US", "3", "3"),
        ("LO", "\x00 ", ""),
        ("UI", "", ""),
        ("LO", "é" * 64, "é" * 64),
    ],
)
def test_clean_up(vr: str, text: str, fitted: str) -> None:
    assert fit(vr, text, too_long="reject") == (fitted, "")


def test_text_is_cut_at_a_word_when_one_is_near() -> None:
    words = "Computed tomography of the thorax and abdomen with intravenous contrast medium"
    assert fit("LO", words, too_long="cut")[0] == "Computed tomography of the thorax and abdomen with intravenous"
    assert fit("LO", "y " + "x" * 80, too_long="cut")[0] == "y " + "x" * 62
    assert fit("LO", "x" * 64 + " more", too_long="cut")[0] == "x" * 64


def test_text_is_never_cut_between_a_letter_and_its_marks() -> None:
    assert fit("SH", "x" * 15 + "e\u0301" + "y", too_long="cut")[0] == "x" * 15
    assert fit("SH", "x" * 15 + "\U0001f469\u200d\U0001f52c", too_long="cut")[0] == "x" * 15
    assert fit("SH", "\u0301" * 20, too_long="cut")[0] == "\u0301" * 16


def test_a_name_loses_suffix_prefix_and_middle_name_before_it_is_cut() -> None:
    family, given_name, middle = "F" * 30, "G" * 20, "M" * 12
    assert fit("PN", f"{family}^{given_name}^{middle}^Dr^Jr", too_long="reject") == (
        f"{family}^{given_name}^{middle}"[:64].rstrip("^"),
        "name shortened from 70 to 64 characters",
    )
    assert fit("PN", f"{family}^{given_name}^{middle}M^Dr", too_long="reject")[0] == f"{family}^{given_name}"
    assert fit("PN", f"{family}^{given_name * 3}", too_long="reject")[0] == f"{family}^{given_name * 3}"[:64]


def test_the_limit_of_a_name_is_that_of_each_group() -> None:
    groups = "=".join(["A" * 64, "B" * 64, "C" * 64])
    assert fit("PN", groups, too_long="reject") == (groups, "")
    shortened, remark = fit("PN", f"A^B=C^{'D' * 70}", too_long="reject")
    assert shortened == f"A^B=C^{'D' * 62}"
    assert remark == "name shortened from 72 to 64 characters"
    assert fit("PN", "A=B=C=D", too_long="reject")[0] == "A=B=C"


def test_vr_of() -> None:
    assert vr_of("AccessionNumber") == "SH"
    assert vr_of("AccesionNumber") == ""


@given(
    vr=st.sampled_from(sorted({*MAX_LENGTH, *INTEGERS, "OB", ""})),
    text=st.one_of(st.text(max_size=200), st.from_regex(r"[0-9.+\-eE^= ]{0,90}", fullmatch=True)),
    too_long=st.sampled_from(["cut", "reject"]),
)
def test_fit_raises_nothing_but_rejected_and_keeps_its_limits(vr: str, text: str, too_long: str) -> None:
    try:
        fitted, _ = fit(vr, text, too_long=too_long)
    except Rejected:
        return
    limit = MAX_LENGTH.get(vr, 2**32)
    assert all(len(group) <= limit for group in (fitted.split("=") if vr == "PN" else [fitted]))
    assert "\\" not in fitted or vr in ("LT", "ST", "UT")
    assert fit(vr, fitted, too_long="reject")[0] == fitted
