"""The parent of processes: what it starts again, what ends it. The processes here serve nobody."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gateway.assembly.processes import child, supervisor
from gateway.assembly.processes.place import RELOAD_ALONE, ProcessPlace
from gateway.assembly.processes.ports import OpenPorts
from gateway.assembly.processes.supervisor import Supervisor
from gateway.errors import ConfigError, GatewayError
from gateway.wire.shared_port import ConnectionCounts
from tests.commands import FORKS
from tests.conftest import until

PROCESSES = 2


def serve_well(place: ProcessPlace, _folder: Path) -> None:
    place.report(ready=[f"of process {place.number}"])
    signal.pause()


def serve_nobody(_place: ProcessPlace, _folder: Path) -> None:
    raise ConfigError(["a key: a fault"])


def serve_once(place: ProcessPlace, folder: Path) -> None:
    """The first time all serve, and end; then none can start."""
    with (folder / f"starts-{place.number}").open("a", encoding="ascii") as starts:
        starts.write(".")
        starts.flush()
        if starts.tell() > 1:
            serve_nobody(place, folder)
    place.report(ready=[])
    asyncio.run(until((folder / "all").exists, what="that all serve"))


def serve_late(place: ProcessPlace, folder: Path) -> None:
    """Is asked to stop amid its start, and comes to its end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    (folder / f"starts-{place.number}").touch()
    signal.sigwait({signal.SIGTERM})
    place.report(ready=[])


def serve_deaf(place: ProcessPlace, folder: Path) -> None:
    """The first process does not react to a wish to reload."""
    place.report(ready=[])
    if place.number > 1:
        signal.sigwait({RELOAD_ALONE})
        (folder / "reloaded").touch()
    signal.pause()


def dies_unseen(_place: ProcessPlace, _folder: Path) -> None:
    os._exit(7)


def supervise(serve: Callable[[ProcessPlace, Path], None], folder: Path, reports: Connection) -> None:
    """In a process of its own: reports the lines of the start, and how it ended."""
    child.FIRST_PAUSE_SECONDS = 0.01  # type: ignore[misc]
    supervisor.RELOAD_SECONDS = 0.01  # type: ignore[misc]
    ports = OpenPorts({}, {}, ConnectionCounts(1, PROCESSES))

    def ready(lines: object) -> None:
        (folder / "all").touch()
        reports.send(lines)

    try:
        Supervisor(PROCESSES, ports, folder, lambda place: serve(place, folder), ready, stop_seconds=60.0).run()
    except GatewayError as error:
        reports.send(str(error))
    else:
        reports.send("stopped")


class Parent:
    def __init__(self, serve: Callable[[ProcessPlace, Path], None], folder: Path) -> None:
        self._reports, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=supervise, args=(serve, folder, theirs))
        self.process.start()

    async def next_report(self) -> object:
        await until(self._reports.poll, what="a report of the parent")
        return self._reports.recv()

    async def ended(self) -> None:
        await until(lambda: not self.process.is_alive(), what="the end of the parent")


async def test_all_are_started_and_a_signal_ends_all(tmp_path: Path) -> None:
    parent = Parent(serve_well, tmp_path)
    assert await parent.next_report() == ["of process 1"]
    assert parent.process.pid is not None
    os.kill(parent.process.pid, signal.SIGTERM)
    assert await parent.next_report() == "stopped"
    await parent.ended()


async def test_a_stop_amid_the_first_start_starts_no_other(tmp_path: Path) -> None:
    parent = Parent(serve_late, tmp_path)
    await until((tmp_path / "starts-1").exists, what="the first process")
    assert parent.process.pid is not None
    os.kill(parent.process.pid, signal.SIGTERM)
    assert await parent.next_report() == "stopped"
    await parent.ended()
    assert not (tmp_path / "starts-2").exists()


async def test_others_reload_where_the_first_does_not_state_how_it_went(tmp_path: Path) -> None:
    parent = Parent(serve_deaf, tmp_path)
    assert await parent.next_report() == ()
    assert parent.process.pid is not None
    os.kill(parent.process.pid, signal.SIGHUP)
    await until((tmp_path / "reloaded").exists, what="a reload")
    os.kill(parent.process.pid, signal.SIGTERM)
    assert await parent.next_report() == "stopped"
    await parent.ended()


@pytest.mark.parametrize(
    ("serve", "why"),
    [(serve_nobody, "a key: a fault"), (dies_unseen, "process 1 ended with exit code 7 before it served")],
)
async def test_what_keeps_the_first_from_starting_ends_all(
    tmp_path: Path, serve: Callable[[ProcessPlace, Path], None], why: str
) -> None:
    parent = Parent(serve, tmp_path)
    assert why in str(await parent.next_report())
    await parent.ended()


async def test_one_fault_that_keeps_all_from_starting_again_ends_the_parent(tmp_path: Path) -> None:
    parent = Parent(serve_once, tmp_path)
    assert await parent.next_report() == ()
    assert "a key: a fault" in str(await parent.next_report())
    await parent.ended()
    starts = [len((tmp_path / f"starts-{number}").read_text(encoding="ascii")) for number in (1, 2)]
    assert all(number >= 2 for number in starts)
