"""Files in a folder of others: whole or not at all, and an error where the disk does not do what it should."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.errors import NeedsPerson, Unavailable
from gateway.spool import drop_folder
from gateway.spool.drop_folder import INCOMING, DropFolder, name_of
from tests.conftest import until

STUDY, INSTANCE = "1.2.3", "1.2.3.4"
PATIENT_SECONDS = 120.0
"""No disk that works takes so long for a step, however busy it is."""


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for one in contents:
        yield one


def files(folder: Path) -> dict[str, bytes]:
    """What is there; a thread of the folder may be taking some of it away."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


async def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    folder = DropFolder(tmp_path, PATIENT_SECONDS)
    seen: list[str] = []

    async def watched() -> AsyncIterator[bytes]:
        yield b"one"
        seen.extend(await asyncio.to_thread(files, tmp_path))
        yield b"two"

    await folder.write(watched(), STUDY, INSTANCE)
    assert [one.partition("/")[0] for one in seen] == [INCOMING]
    assert files(tmp_path) == {f"{STUDY}/{INSTANCE}.dcm": b"onetwo"}
    await folder.write(pieces(b"newer"), STUDY, INSTANCE)
    assert files(tmp_path) == {f"{STUDY}/{INSTANCE}.dcm": b"newer"}
    await folder.close()


async def test_who_may_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    folder = DropFolder(tmp_path, PATIENT_SECONDS)
    await folder.write(pieces(b"1"), STUDY, INSTANCE)
    modes = [stat.S_IMODE((tmp_path / one).stat().st_mode) for one in (f"{STUDY}/{INSTANCE}.dcm", STUDY, INCOMING)]
    assert [one & 0o777 for one in modes] == [0o640, 0o750, 0o700]
    assert modes[1] & stat.S_ISGID
    await folder.close()


@pytest.mark.parametrize(
    ("uid", "name"),
    [("1.2.3", "1.2.3"), ("../../etc/x", "x-"), ("", "x-"), ("..", "x-"), ("1/2", "x-"), ("1.2\n", "x-")],
)
def test_what_is_no_uid_leads_nowhere_else(uid: str, name: str) -> None:
    assert name_of(uid).startswith(name)
    assert "/" not in name_of(uid)
    assert name_of(uid) == uid or len(name_of(uid)) == 34


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    folder = DropFolder(tmp_path / "mounted" / "archive", PATIENT_SECONDS)
    with pytest.raises(Unavailable, match="is its disk mounted"):
        await folder.write(pieces(b"1"), STUDY, INSTANCE)
    assert not list(tmp_path.iterdir())
    (tmp_path / "mounted" / "archive").mkdir(parents=True)
    await folder.write(pieces(b"1"), STUDY, INSTANCE)
    await folder.close()


async def test_a_full_disk_leaves_nothing_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = DropFolder(tmp_path, PATIENT_SECONDS)
    monkeypatch.setattr(drop_folder, "_append", full)
    with pytest.raises(Unavailable, match="No space left"):
        await folder.write(pieces(b"1"), STUDY, INSTANCE)
    await until(lambda: not [one for one in tmp_path.rglob("*") if one.is_file()])
    await folder.close()


@pytest.mark.parametrize(("name", "refusal"), [("chmod", errno.EPERM), ("fsync", errno.EINVAL)])
async def test_a_share_without_modes_and_without_sync_of_folders_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, refusal: int
) -> None:
    does = getattr(os, name)

    def refused(what: int, *args: int, **named: bool) -> None:
        if name == "chmod" or Path(f"/proc/self/fd/{what}").is_dir():
            raise OSError(refusal, os.strerror(refusal))
        does(what, *args, **named)

    folder = DropFolder(tmp_path, PATIENT_SECONDS)
    monkeypatch.setattr(os, name, refused)
    await folder.write(pieces(b"1"), STUDY, INSTANCE)
    assert files(tmp_path) == {f"{STUDY}/{INSTANCE}.dcm": b"1"}
    await folder.close()


async def test_a_source_that_fails_leaves_nothing_of_a_file(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1"
        raise NeedsPerson("cannot be read")

    folder = DropFolder(tmp_path, PATIENT_SECONDS)
    with pytest.raises(NeedsPerson):
        await folder.write(broken(), STUDY, INSTANCE)
    await until(lambda: not files(tmp_path))
    await folder.close()


async def test_a_disk_that_hangs_holds_no_thread_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, append = threading.Event(), drop_folder._append
    monkeypatch.setattr(drop_folder, "_append", lambda *_: hangs.wait(120))
    folder = DropFolder(tmp_path, 0.1, writers=1)
    with pytest.raises(Unavailable, match="does not answer within"):
        await folder.write(pieces(b"1"), STUDY, INSTANCE)
    with pytest.raises(Unavailable, match="does not answer within"):
        await folder.write(pieces(b"1"), STUDY, INSTANCE)
    await asyncio.to_thread(lambda: None)
    monkeypatch.setattr(drop_folder, "_append", append)
    hangs.set()
    await until(lambda: not files(tmp_path))
    await folder.close()


def files_open_below(folder: Path) -> list[str]:
    """Also while threads close what they have open."""
    paths = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            paths.append(str(descriptor.readlink()))
    return [one for one in paths if one.startswith(str(folder))]


@pytest.mark.parametrize("name", ["open", "write", "fsync"])
async def test_nothing_is_closed_while_a_step_that_hung_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    began, hangs, does, timeout = threading.Event(), threading.Event(), getattr(os, name), asyncio.timeout
    limits: list[asyncio.Timeout] = []

    def limit(seconds: float) -> asyncio.Timeout:
        limits.append(timeout(seconds))
        return limits[-1]

    def hung(*args: object) -> object:
        if threading.current_thread().name.startswith("folder") and not began.is_set():
            began.set()
            hangs.wait(120)
        return does(*args)

    folder = DropFolder(tmp_path, PATIENT_SECONDS)
    monkeypatch.setattr(os, name, hung)
    monkeypatch.setattr(asyncio, "timeout", limit)
    writing = asyncio.create_task(folder.write(pieces(b"1"), STUDY, INSTANCE))
    await until(began.is_set, what="the step that hangs")
    limits[-1].reschedule(0)  # its time is over, and that of no other step
    with pytest.raises(Unavailable, match="does not answer within"):
        await writing
    assert len(await asyncio.to_thread(files_open_below, tmp_path)) == (name != "open")
    await folder.write(pieces(b"2"), STUDY, INSTANCE)  # a thread that is free has had its turn
    assert len(await asyncio.to_thread(files_open_below, tmp_path)) == (name != "open")
    hangs.set()
    await until(lambda: not files_open_below(tmp_path) and len(files(tmp_path)) == 1)
    await folder.close()


async def test_what_a_killed_gateway_left_goes_after_a_day(tmp_path: Path) -> None:
    old, new = (tmp_path / INCOMING / name for name in ("old.dcm", "new.dcm"))
    old.parent.mkdir()
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    folder = DropFolder(tmp_path, PATIENT_SECONDS)
    await folder.write(pieces(b"1"), STUDY, INSTANCE)
    assert (old.exists(), new.exists()) == (False, True)
    await folder.close()
