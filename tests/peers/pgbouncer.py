"""PgBouncer as Debian ships it, between gateways and the PostgreSQL of the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.peers.process import DEBIAN, end, found, wait_until

_PORT: Final = 6432


class PgBouncer:
    """One that pools for a single database, behind a socket in a folder of its own; `url` leads through it."""

    def __init__(self, target: str, folder: Path, pool_mode: str, pool_size: int, more: dict[str, str]) -> None:
        parts = urlsplit(target)
        [host] = parse_qs(parts.query)["host"]
        name = parts.path.removeprefix("/")
        self.url = f"postgresql://postgres:@/{name}?host={folder}&port={_PORT}"
        self._folder = folder
        self._owner = Path(host).stat().st_uid if os.geteuid() == 0 else None
        """It refuses to run as root: it runs as whom PostgreSQL does."""
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "unix_socket_dir": str(folder), "listen_port": str(_PORT), "auth_type": "any", "pool_mode": pool_mode,
            "default_pool_size": str(pool_size), "server_login_retry": "0.2", "server_check_delay": "0",
        } | more  # fmt: skip
        lines = ["[databases]", f"{name} = host={host} dbname={name} user=postgres", "[pgbouncer]"]
        self._ini = folder / "pgbouncer.ini"
        self._ini.write_text("\n".join([*lines, *(f"{key} = {value}" for key, value in settings.items())]) + "\n")
        if self._owner is not None:
            os.chown(folder, self._owner, -1)

    def start(self) -> None:
        program = found("pgbouncer", DEBIAN)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, self._ini], stdout=log, stderr=log, user=self._owner)
        wait_until(self._accepts, self._process, "PgBouncer", 120)

    def kill(self) -> None:
        """With all its connections."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            end(self._process)

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self._folder}/.s.PGSQL.{_PORT}") == 0


@contextmanager
def pgbouncer(target: str, *, pool_mode: str = "transaction", pool_size: int = 3, **more: str) -> Iterator[PgBouncer]:
    """One that pools for the database `target`, the URL of one behind a socket; `more` settings of its ini file."""
    # Not below pytest's own directory, which another user cannot enter.
    with tempfile.TemporaryDirectory(prefix="pgb") as folder:
        peer = PgBouncer(target, Path(folder), pool_mode, pool_size, more)
        try:
            peer.start()
            yield peer
        finally:
            peer.stop()
