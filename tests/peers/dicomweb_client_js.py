"""dicomweb-client of npm, by which OHIF's viewer reads and stores (`dicomwebclient/`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.peers.process import found, missing, run

_FOLDER = Path(__file__).parent / "dicomwebclient"


async def read_study(base: str, study_uid: str, authorization: str = "") -> dict[str, Any]:
    """What it reads of a study: UIDs of each search and metadata, sizes of the files; or `error` and `status`."""
    return await _told("read.mjs", base, authorization, study_uid)


async def store(base: str, *files: Path, authorization: str = "") -> dict[str, Any]:
    """Its `answer` to a Store of these files; or `error` and `status`."""
    return await _told("store.mjs", base, authorization, *files)


async def _told(program: str, *arguments: Path | str) -> dict[str, Any]:
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_FOLDER / "node_modules").is_dir():
        missing("dicomweb-client", "make peers")
    done = await run(node, _FOLDER / program, *arguments, timeout=120)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
