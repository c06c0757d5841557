"""rsyslogd as a receiver over TLS (RFC 5425)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.ports import free_port
from tests.conftest import comes_true
from tests.peers.openssl import Authority

_CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="256k" parser.escapeControlCharactersOnReceive="off"
    defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca}"
    defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="whole" type="string" string="%rawmsg%\\n")
input(type="imtcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{written}" template="whole")
"""


@asynccontextmanager
async def rsyslog(folder: Path, authority: Authority) -> AsyncIterator[tuple[int, Path]]:
    """Its port, and the file with a line for each message as it came."""
    issued, written = authority.issue("rsyslog"), folder / "rsyslog.out"
    port, file = free_port(), folder / "rsyslog.conf"
    file.write_text(
        _CONFIGURATION.format(
            folder=folder, ca=authority.certificate, certificate=issued.certificate, key=issued.key, port=port,
            written=written,
        ),
        encoding="utf-8",
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "rsyslogd", "-n", "-f", str(file), "-i", str(folder / "rsyslog.pid"),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await comes_true(lambda: _listens(port))
        yield port, written
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
