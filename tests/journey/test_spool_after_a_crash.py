"""A gateway that is killed between file and row, and a disk that has lost a file: joined at the next start."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bench.ports import free_port
from gateway.errors import Unavailable
from gateway.wire.dimse import client
from tests.commands import Command, gateway, served
from tests.conftest import until
from tests.journey.test_pixels_arrive import files, large, sample


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def folder(tmp_path: Path, ports: tuple[int, int]) -> Path:
    configured = {
        "database": {"url": "sqlite:///gateway.db"}, "hl7": {"listeners": [{"port": 0}]},
        "dicom": {"port": ports[0]}, "http": {"port": ports[1]},
        "studies": {"storage": "forward", "spool": {"folder": "spool", "free_gb": 0}},
    }  # fmt: skip
    (tmp_path / "gateway.yaml").write_text(json.dumps(configured), encoding="utf-8")
    return tmp_path


async def send(port: int, *datasets: Any) -> list[int]:
    stored = await client.store("127.0.0.1", port, datasets, called_ae="GATEWAY", calling_ae="SCANNER", timeout=120)
    return [status for _uid, status in stored]


async def spool_state(port: int) -> dict[str, Any]:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/api/state") as got:
        parts = (await got.json())["parts"]
    return next(part for part in parts if part["kind"] == "spool")


def rows(folder: Path) -> list[tuple[str, int | None]]:
    with closing(sqlite3.connect(folder / "gateway.db")) as connection:
        return connection.execute("SELECT file, missing_at FROM pixel_files").fetchall()


async def killed(command: Command) -> None:
    command.signal(signal.SIGKILL)
    assert await command.ended() == -signal.SIGKILL


async def test_a_file_without_a_row_is_removed(folder: Path, ports: tuple[int, int]) -> None:
    """The database is held while two instances arrive: their files are on disk, their rows are not."""
    async with served(folder) as command:
        assert await send(ports[0], sample("2.25.1")) == [0]
        with closing(sqlite3.connect(folder / "gateway.db", isolation_level=None)) as holding:
            holding.execute("BEGIN IMMEDIATE")
            sending = [asyncio.create_task(send(ports[0], one)) for one in (sample("2.25.2"), large("2.25.3"))]
            await until(lambda: len(files(folder)) == 3, what="the files of both")
            await killed(command)
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        assert [type(one) for one in outcomes] == [Unavailable] * 2, "who got no Success sends again"
        assert len(files(folder)) == 3
    async with served(folder) as command:
        await until(lambda: len(files(folder)) == 1, what="the removal of both files")
        assert [file for file, _missing in rows(folder)] == [f"{files(folder)[0].relative_to(folder / 'spool')}"]
        await until(lambda: "removed 2 files of the spool" in command.errors, what="a line in the log")
        state = await spool_state(ports[1])
        assert (state["level"], state["detail"]) == ("good", "has room")
        assert await send(ports[0], sample("2.25.2"), large("2.25.3")) == [0, 0]
        assert len(rows(folder)) == len(files(folder)) == 3


async def test_files_of_another_database_stay(folder: Path, ports: tuple[int, int]) -> None:
    """Whoever starts with a wrong `database.url` must not lose what waits for the archives."""
    async with served(folder) as command:
        assert await send(ports[0], sample("2.25.1"), sample("2.25.2")) == [0, 0]
    (folder / "gateway.db").rename(folder / "right.db")
    before = files(folder)
    for number in (3, 4):
        async with served(folder) as command:
            await until(lambda: "2 files in" in command.errors, what="a line in the log")
            assert await send(ports[0], sample(f"2.25.{number}")) == [0]
            assert set(before) < set(files(folder))
    assert len(files(folder)) == 4


async def test_a_gateway_on_another_database_does_not_start_in_the_folder(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    configured = json.loads((folder / "gateway.yaml").read_text(encoding="utf-8"))
    configured |= {"dicom": {"port": 0}, "http": {"port": 0}}
    configured["studies"]["spool"]["folder"] = str(folder / "spool")
    (other / "gateway.yaml").write_text(json.dumps(configured), encoding="utf-8")
    async with served(folder):
        second = await gateway("run", folder=other)
    assert second.returncode == 1
    assert "give each a folder of its own" in second.stderr


async def test_a_row_without_its_file_is_noted_and_shown(folder: Path, ports: tuple[int, int]) -> None:
    async with served(folder) as command:
        assert await send(ports[0], sample("2.25.1"), sample("2.25.2")) == [0, 0]
        await killed(command)
    lost = folder / "spool" / rows(folder)[0][0]
    lost.unlink()
    async with served(folder) as command:
        await until(lambda: [missing is not None for _file, missing in rows(folder)] == [True, False], what="a note")
        await until(lambda: "1 instances have lost their file" in command.errors, what="a line in the log")
        state = await spool_state(ports[1])
        assert (state["level"], state["detail"]) == ("bad", "1 instances have lost their file: send them again")
        assert await send(ports[0], sample("2.25.1")) == [0]
        assert [missing for _file, missing in rows(folder)] == [None, None]


async def test_a_disk_that_is_not_mounted_is_a_fault_at_the_start(folder: Path, ports: tuple[int, int]) -> None:
    async with served(folder):
        assert await send(ports[0], sample("2.25.1")) == [0]
    (folder / "spool").rename(folder / "elsewhere")
    started = await gateway("run", folder=folder)
    assert started.returncode == 1
    assert "is its disk mounted?" in started.stderr
    (folder / "spool").rmdir()
    (folder / "elsewhere").rename(folder / "spool")
    async with served(folder):
        assert await send(ports[0], sample("2.25.2")) == [0]


async def test_with_headers_again_what_is_in_the_spool_is_still_kept_in_step(
    folder: Path, ports: tuple[int, int]
) -> None:
    async with served(folder):
        assert await send(ports[0], sample("2.25.1")) == [0]
    file = folder / "gateway.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace('"forward"', '"headers"'), encoding="utf-8")
    async with served(folder):
        assert await send(ports[0], sample("2.25.2")) == [0]
        assert len(files(folder)) == len(rows(folder)) == 1
        erased = await gateway("erase", sample().PatientID, "--yes", "--note", "a wish", folder=folder)
        assert erased.returncode == 0, erased.stdout + erased.stderr
        assert files(folder) == []
