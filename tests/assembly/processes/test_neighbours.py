"""What processes ask one another: who is asked answers for all, also where one does not answer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.assembly.processes import neighbours
from gateway.assembly.processes.neighbours import Neighbours, Silences
from gateway.assembly.processes.place import ALONE, ProcessPlace
from gateway.observe import metrics
from gateway.operations.state.sources import Silence
from gateway.records.work import delivery_to
from tests.conftest import comes_true

STATED = ((1, 1.0), (2, 1.0), (3, 0.0))
KIND, OTHER = delivery_to("main"), delivery_to("other")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who listens answers, however busy the machine is; nobody listens where a process is not there."""
    monkeypatch.setattr(neighbours, "ANSWER_SECONDS", 120)


def of(number: int, folder: Path, silences: Silences) -> Neighbours:
    return Neighbours(ProcessPlace(number, 3, folder=folder), lambda: silences)


@pytest.mark.parametrize(
    ("own", "theirs", "shown"),
    [
        (Silence(5, None), Silence(3, None), Silence(5, None)),
        (Silence(1, 2), Silence(4, None), Silence(4, None)),  # it has answered another since
        (Silence(1, 6), Silence(4, None), Silence(4, 6)),
        (Silence(None, 7), Silence(None, 6), Silence(None, 6)),
        (Silence(), Silence(), Silence()),
    ],
)
async def test_a_receiver_is_away_unless_it_has_answered_any_process_since(
    tmp_path: Path, own: Silence, theirs: Silence, shown: Silence
) -> None:
    asked, asker = of(2, tmp_path, {KIND: theirs, OTHER: Silence(9)}), of(1, tmp_path, {KIND: own})
    async with AsyncExitStack() as stack:
        await asked.begin(stack)
        await asker.look()  # the third process does not answer
        assert asker.all_silences() == {KIND: shown, OTHER: Silence(9)}


async def test_metrics_are_those_of_all_that_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked, asker = of(2, tmp_path, {}), of(1, tmp_path, {})
    async with AsyncExitStack() as stack:
        await asked.begin(stack)
        page = (await asker.all_metrics(lambda: metrics.render([]))).decode()
        await asker.look()
    for number in (1, 2):
        assert f'process_cpu_seconds_total{{process="{number}"}}' in page
    assert 'process_cpu_seconds_total{process="3"}' not in page
    answered = [f'gateway_process_answered{{process="{number}"}} {is_there}' in page for number, is_there in STATED]
    assert all(answered), page
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "process 3 accepts connections and does not answer"
    ]


async def test_a_process_that_cannot_be_asked_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    async with AsyncExitStack() as stack:
        await of(1, folder, {}).begin(stack)
    [line] = caplog.messages
    assert line.startswith("the other processes get no answer of this one, their metrics are without it: ")
    assert line.endswith(f"{folder}/1: AF_UNIX path too long")


async def test_what_was_silent_is_not_waited_for_as_long_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = of(1, tmp_path, {})
    hangs = await asyncio.start_unix_server(lambda _reader, _writer: None, tmp_path / "3")
    async with hangs:
        monkeypatch.setattr(neighbours, "ANSWER_SECONDS", 0.1)
        await asker.look()
        monkeypatch.setattr(neighbours, "ANSWER_SECONDS", 3600)
        await asker.look()
        assert asker.silent == {2, 3}
    async with AsyncExitStack() as stack:
        await of(2, tmp_path, {}).begin(stack)
        await comes_true(asker.look, lambda _: asker.silent == {3})


async def test_alone_nobody_is_asked() -> None:
    alone = Neighbours(ALONE, lambda: {KIND: Silence(1)})
    async with AsyncExitStack() as stack:
        await alone.begin(stack)
        await alone.look()
        assert alone.all_silences() == {KIND: Silence(1)}
        assert await alone.all_metrics(lambda: b"page") == b"page"
