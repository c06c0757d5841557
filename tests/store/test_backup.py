"""A backup of a database that serves: whole, private, and taken while orders come."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from gateway.assembly import process as app
from gateway.errors import ConfigError, Unavailable
from gateway.store import migrations
from gateway.store.backup import back_up
from gateway.wire.hl7.mllp_client import MllpClient
from tests.conftest import until
from tests.journey.messages import orm
from tests.journey.running import config_of


def order(number: int) -> bytes:
    return orm(
        control_id=f"C{number}", placer=f"P{number}", filler=f"F{number}", accession=f"A{number}",
        study_uid=f"2.25.{number}", procedure=f"R{number}", step=f"S{number}",
    )  # fmt: skip


def accession_numbers(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {number for (number,) in connection.execute("SELECT accession FROM orders")}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_backup_ends_while_orders_come_and_serves_as_the_database(database_url: str, tmp_path: Path) -> None:
    """The copy holds each order that was acknowledged when it began; a gateway serves from it."""
    database, copy = Path(database_url.removeprefix("sqlite:///")), tmp_path / "copy.db"
    taken: list[str] = []
    async with (
        app.running(config_of(database_url)) as gateway,
        MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris,
    ):
        going_on = asyncio.Event()

        async def orders() -> None:
            while not going_on.is_set() or len(taken) < 100:
                answer = await ris.send(order(len(taken)))
                assert b"MSA|AA|" in answer
                taken.append(f"A{len(taken)}")

        sending = asyncio.create_task(orders())
        await until(lambda: len(taken) >= 30 or sending.done(), what="orders")
        before = set(taken)
        await asyncio.to_thread(back_up, database, copy)
        going_on.set()
        await sending
    assert before <= accession_numbers(copy) <= set(taken)
    assert accession_numbers(database) == set(taken)
    async with (
        app.running(config_of(f"sqlite:///{copy}")) as gateway,
        MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris,
    ):
        assert b"MSA|AA|" in await ris.send(order(1_000_000))
    assert "A1000000" in accession_numbers(copy)


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "gateway.db"))


def test_nobody_else_may_read_it_and_nothing_is_left_beside_it(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    made = back_up(database, folder / "copy.db")
    assert made.schema == migrations.newest()
    assert made.bytes == made.path.stat().st_size
    assert [file.name for file in folder.iterdir()] == ["copy.db"]
    assert stat.S_IMODE((folder / "copy.db").stat().st_mode) == 0o600


def test_a_file_that_is_there_is_never_overwritten(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("the backup of yesterday", encoding="utf-8")
    with pytest.raises(ConfigError, match="never overwrites"):
        back_up(database, target)
    assert target.read_text(encoding="utf-8") == "the backup of yesterday"
    with pytest.raises(ConfigError, match="is no folder"):
        back_up(database, tmp_path / "nowhere" / "copy.db")


def test_a_database_that_is_damaged_gives_no_backup(database: Path, tmp_path: Path) -> None:
    """All pages but the first overwritten: the copy fails or its check does, and nothing of it is left."""
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    folder = tmp_path / "backups"
    folder.mkdir()
    with pytest.raises(Unavailable, match="nothing of it is left"):
        back_up(database, folder / "copy.db")
    assert list(folder.iterdir()) == []


def test_a_file_system_without_links_and_synced_folders_takes_a_backup(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network share (SMB) or a memory stick (exFAT): `link` and `fsync` of a folder are refused there."""
    sync = os.fsync

    def refuse_link(source: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(source))

    def refuse_folder(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, "link", refuse_link)
    monkeypatch.setattr(os, "fsync", refuse_folder)
    folder = tmp_path / "share"
    folder.mkdir()
    assert back_up(database, folder / "copy.db").bytes == (folder / "copy.db").stat().st_size > 0
    assert [file.name for file in folder.iterdir()] == ["copy.db"]
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    with pytest.raises(ConfigError, match=r"copy\.db exists"):
        back_up(database, folder / "copy.db")
    assert [file.name for file in folder.iterdir()] == ["copy.db"], "which came meanwhile, and stays"


def test_a_disk_without_room_is_named(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(Unavailable, match="bytes free"):
        back_up(database, tmp_path / "copy.db")


def test_progress_is_reported(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.backup.STEPS_BETWEEN_REPORTS", 5)
    reports: list[tuple[int, int]] = []
    back_up(database, tmp_path / "copy.db", on_progress=lambda done, whole: reports.append((done, whole)))
    assert reports
    assert all(done >= 0 and whole >= database.stat().st_size // 2 for done, whole in reports)
