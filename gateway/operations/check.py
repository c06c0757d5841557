"""Checks of a machine before the gateway starts: ports that are free, a database that can be read."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from gateway.errors import ConfigError
from gateway.store.engine import CONNECTIONS, open_engine, sqlite_file
from gateway.store.migrations import current, newest


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """The result of one check."""

    what: str
    """Key of the configuration."""
    ok: bool
    detail: str
    warning: bool = False
    """Worth a look, but no reason not to start."""


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """An address that the gateway will listen on."""

    key: str
    host: str
    port: int


def check_shared(wanted: Sequence[ListeningPort]) -> list[CheckFinding]:
    """A finding for each port that another key has too, on the same address or on all."""
    findings = []
    for number, one in enumerate(wanted):
        for other in wanted[:number]:
            if one.port and one.port == other.port and (one.host == other.host or EVERYWHERE & {one.host, other.host}):
                text = f"{one.host}:{one.port} is already the port of {other.key}"
                findings.append(CheckFinding(one.key, False, text))
                break
    return findings


EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})
"""Hosts that stand for all addresses of the machine."""
ANSWER_SECONDS: Final = 3.0


def gateway_serves(host: str, port: int, *, tls: bool = False) -> bool:
    """Whether a gateway answers at this address of a console: then its ports are taken by it.

    `tls`: it is asked over TLS, whatever certificate it shows, since nothing secret is sent.
    """
    local = LOCAL.get(host, host)
    connection = http.client.HTTPConnection(local, port, timeout=ANSWER_SECONDS)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(local, port, timeout=ANSWER_SECONDS, context=context)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().read() == b'{"status":"live"}'
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


LOCAL: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""An address of this machine, for each host that stands for all of them."""


def check_ports(wanted: Sequence[ListeningPort], *, gateway_serves: bool = False) -> list[CheckFinding]:
    """Listen on each port for a moment: a finding for each, whichever key has the port first. A port that is taken is
    no fault while a gateway serves."""
    findings = []
    for (host, port), key in {(one.host, one.port): one.key for one in reversed(wanted)}.items():
        try:
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
                findings.append(CheckFinding(key, True, f"{host}:{port} is free"))
        except OSError as error:
            if gateway_serves and error.errno == errno.EADDRINUSE:
                findings.append(CheckFinding(key, True, f"{host}:{port} is taken, and a gateway serves here"))
            else:
                findings.append(CheckFinding(key, False, f"cannot listen on {host}:{port}: {_reason(error)}"))
    return findings[::-1]


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken by another program"
    return error.strerror or type(error).__name__


def check_folder(what: str, folder: Path) -> CheckFinding:
    """Whether a folder can be written, or made where there is none."""
    there = next((one for one in (folder.absolute(), *folder.absolute().parents) if one.exists()), Path("/"))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return CheckFinding(what, False, f"{there} cannot be written by this user")
    return CheckFinding(what, True, "can be written" if there == folder.absolute() else "will be made")


def check_database(url: str, answer_seconds: float) -> CheckFinding:
    """Whether the database can be reached within `answer_seconds`, and has the schema of this program."""
    what = "database"
    try:
        file = sqlite_file(url)
        if file is not None and not file.exists():
            folder = file.absolute().parent
            there = folder.is_dir()
            return CheckFinding(what, there, "will be created" if there else f"the folder {folder} does not exist")
        engine = open_engine(url, answer_seconds=answer_seconds)
        with engine.connect().execution_options(reading=True) as connection:
            connection.execute(text("SELECT 1"))
            revision = current(connection)
            room = _room(connection)
        engine.dispose()
    except ConfigError as error:
        return CheckFinding(what, False, "; ".join(error.faults))
    except Exception as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()
        return CheckFinding(what, False, f"cannot be reached: {reason[0] if reason else type(error).__name__}")
    if revision not in (None, newest()):
        return CheckFinding(what, False, f"schema {revision}, this program needs {newest()}: run 'gateway db upgrade'")
    return CheckFinding(what, True, f"reachable, schema {revision or 'not yet created'}{room}")


def _room(connection: Connection) -> str:
    """How many processes of a gateway the connections of PostgreSQL are enough for."""
    if connection.dialect.name != "postgresql":
        return ""
    names = ("max_connections", "superuser_reserved_connections")
    most, kept = (int(connection.execute(text(f"SHOW {name}")).scalar_one()) for name in names)
    return f"; {most - kept} connections, of which a process of the gateway takes up to {CONNECTIONS}"
