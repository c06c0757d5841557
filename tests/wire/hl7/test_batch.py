"""Batches: taken apart byte for byte, answered as a batch."""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import long_work
from gateway.wire.hl7.batch import answer, split

ONE, TWO = b"MSH|^~\\&|A|B|||2026||ORM^O01|1|P|2.3\rPID|1\r", b"MSH|^~\\&|A|B|||2026||ORM^O01|2|P|2.3\rPID|2\r"
NOW = "20260123000000+0000"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        ONE,
        b"\r\n" + ONE,
        ONE + TWO,
        b"BHS|^~\\&\r" + ONE + b"BTS|1\r",
        b"FHS|^~\\&\rFTS\r",
        b"junk BHS|" + ONE + TWO,
    ],
)
def test_what_is_no_batch(raw: bytes) -> None:
    assert split(raw) is None


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_batch_is_taken_apart(end: bytes, mark: bytes) -> None:
    raw = mark + (b"FHS|^~\\&|F\rBHS|^~\\&|B\r" + ONE + TWO + b"BTS|2\rFTS|1\r").replace(b"\r", end)
    batch = split(raw)
    assert batch is not None
    assert [one.removeprefix(mark) for one in batch.messages] == [ONE.replace(b"\r", end), TWO.replace(b"\r", end)]
    assert [one[:6] for one in batch.headers] == [b"FHS|^~", b"BHS|^~"]
    assert batch.stated == 2


async def test_a_long_batch_is_taken_apart_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    clock = SimpleNamespace(perf_counter=time.perf_counter, sleep=waits.append)
    monkeypatch.setattr(long_work, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(long_work, "time", clock)
    batch = await long_work.beside(partial(split, b"BHS|^~\\&\r" + ONE * 100 + b"BTS|100\r"))
    assert batch is not None
    assert len(batch.messages) == 100
    assert len(waits) >= 100  # between any two messages


def test_several_batches_of_one_file() -> None:
    batch = split(b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + b"BTS|1\rBHS|^~\\&\r" + TWO + b"BTS|1\rFTS|2\r")
    assert batch is not None
    assert (list(batch.messages), batch.stated) == ([ONE, TWO], 2)


def test_the_answer_is_turned_round() -> None:
    batch = split(b"BHS|^~\\&|RIS|HOSP|GW|SITE|20260123||N||B7\r" + ONE + TWO)
    assert batch is not None
    lines = answer(batch, [b"MSH|a\rMSA|AA|1\r", b"MSH|b\rMSA|AA|2\r"], control_id="9", now=NOW).split(b"\r")
    assert lines[0] == b"BHS|^~\\&|GW|SITE|RIS|HOSP|20260123000000+0000||||9|B7"
    assert lines[1:] == [b"MSH|a", b"MSA|AA|1", b"MSH|b", b"MSA|AA|2", b"BTS|2", b""]


@given(
    st.lists(
        st.sampled_from([b"FHS|^~\\&\r", b"BHS|^~\\&\r", b"BTS|1\r", b"FTS\r", ONE, TWO, b"\r", b"x\r"]), max_size=8
    )
)
def test_every_message_comes_out_once(pieces: list[bytes]) -> None:
    batch = split(b"".join(pieces))
    if batch is not None:
        assert [one.split(b"\r")[0] for one in batch.messages] == [
            one.split(b"\r")[0] for one in pieces if one.startswith(b"MSH")
        ]
