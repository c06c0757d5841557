"""dcmjs-dimse: a service class user in Node (`dcmjs/scu.mjs`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.peers.process import found, missing, run

_PROGRAM = Path(__file__).parent / "dcmjs" / "scu.mjs"


async def scu(port: int, action: str, *files: Path | str) -> dict[str, Any]:
    """One association: `echo`, `find` (the worklist), `cancel` (a find, cancelled at its first match), `store` or
    `perform` (N-CREATE and N-SET of a performed step: its UID, Study Instance UID and step ID in place of files), or
    `begin` and `end`, one of the two.

    `statuses`: [what, Status] of each response; `items`: the identifiers; `unsendable`: file -> why not.
    """
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_PROGRAM.parent / "node_modules").is_dir():
        missing("dcmjs-dimse", "make peers")
    done = await run(node, _PROGRAM, str(port), action, *files, timeout=120)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
