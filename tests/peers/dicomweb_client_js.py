"""dicomweb-client of npm, by which OHIF's viewer reads (`dicomwebclient/read.mjs`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.peers.process import found, missing, run

_PROGRAM = Path(__file__).parent / "dicomwebclient" / "read.mjs"


async def read_study(base: str, study_uid: str, authorization: str = "") -> dict[str, Any]:
    """What it reads of a study: UIDs of each search and metadata, sizes of the files; or `error` and `status`."""
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_PROGRAM.parent / "node_modules").is_dir():
        missing("dicomweb-client", "make peers")
    done = await run(node, _PROGRAM, base, authorization, study_uid, timeout=60)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read
