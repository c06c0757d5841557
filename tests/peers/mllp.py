"""python-hl7's `mllp_send`, the sender that other integrators have at hand."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.peers.process import found, run


async def mllp_send(port: int, *messages: bytes, timeout: float = 60.0) -> list[str]:
    """Send the messages over one connection and return the answers, each with CR between its segments.

    Fails when the program does; it ends without an answer when the connection is closed under it.
    """
    program = found(str(Path(sys.executable).with_name("mllp_send")), "make")
    with tempfile.NamedTemporaryFile(suffix=".hl7") as file:
        file.write(b"".join(b"\x0b" + message + b"\x1c\x0d" for message in messages))
        file.flush()
        done = await run(program, "--file", file.name, "--port", str(port), "127.0.0.1", timeout=timeout)
    assert done.returncode == 0, f"mllp_send ended with {done.returncode}: {done.stderr}"
    return [block.split("\x1c")[0] for block in done.stdout.split("\x0b")[1:]]
