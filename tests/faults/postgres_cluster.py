"""A PostgreSQL server of a test's own: restarted without warning, made read-only, full, replaced by its standby."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from bench.night.databases import Postgres

_NAME: Final = "night"
MAX_CONNECTIONS: Final = 40


class Cluster(Postgres):
    """A server, and its standby from `add_standby` on. `url` names both, `own_url` the one that takes writes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.own_url = self.url
        self._primary = Path(self._server.pgdata)
        self._standby = folder / "standby"
        self._taken: list[psycopg.Connection] = []
        self.url = f"{self.url}&host={quote(str(self._standby))}&target_session_attrs=read-write"
        # Faults end processes, not machines: a commit need not wait for the disk.
        self.set(max_connections=MAX_CONNECTIONS, fsync="off")
        self.restart()

    def set(self, **values: object) -> None:
        """Let settings count from the next start or, where that is possible, from now on."""
        with psycopg.connect(self.own_url, autocommit=True) as connection:
            for name, value in values.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def restart(self) -> None:
        """Shut down at once, as by a crash, and recover."""
        self.die()
        self.start()

    def die(self) -> None:
        """End without a word to anybody."""
        self._run("pg_ctl", "-D", self._primary, "-m", "immediate", "stop")

    def take_all_connections(self) -> None:
        """Hold every connection that there is, after ending all others."""
        with suppress(psycopg.OperationalError):
            while True:
                self._taken.append(psycopg.connect(self.own_url, autocommit=True))
                self._taken[0].execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                    " AND pid <> ALL(%s)",
                    ([one.info.backend_pid for one in self._taken],),
                )

    def let_connections_go(self) -> None:
        while self._taken:
            self._taken.pop().close()

    def add_standby(self) -> None:
        """One that confirms each commit before it is answered."""
        self._standby.mkdir(mode=0o700)
        shutil.chown(self._standby, self._server.system_user or os.geteuid())
        self._run("pg_basebackup", "-D", self._standby, "-h", self._primary, "-U", "postgres", "-R", "-c", "fast")
        # The sockets stand in the folders of the data.
        (self._standby / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        where = f'-h "" -k {self._standby}'
        self._run("pg_ctl", "-w", "-o", where, "-l", self._standby / "log", "-D", self._standby, "start")
        self.set(synchronous_standby_names="*")

    def fail_over(self) -> None:
        """Let the server die, and its standby take its place."""
        self.die()
        self._run("pg_ctl", "-w", "-D", self._standby, "promote")
        self.own_url = self.own_url.replace(quote(str(self._primary)), quote(str(self._standby)))

    def close(self) -> None:
        self.let_connections_go()
        if (self._standby / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._standby, "-m", "immediate", "stop")
        super().close()

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / program, *arguments], check=True, stdout=subprocess.DEVNULL, user=self._server.system_user
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    # Not below pytest's own directory, which the user of PostgreSQL cannot enter.
    with tempfile.TemporaryDirectory(prefix="pgc", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Cluster(folder)
        try:
            yield server
        finally:
            server.go_on()
            server.close()
