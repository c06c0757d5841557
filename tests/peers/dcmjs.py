"""dcmjs-dimse, a service class user in Node (`dcmjs/scu.mjs`), and dcmjs, which writes a Store (`dcmjs/stow.mjs`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.peers.process import found, missing, run

_FOLDER = Path(__file__).parent / "dcmjs"


async def scu(port: int, action: str, *files: Path | str) -> dict[str, Any]:
    """One association: `echo`, `find` (the worklist), `cancel` (a find, cancelled at its first match), `store` or
    `perform` (N-CREATE and N-SET of a performed step: its UID, Study Instance UID and step ID in place of files), or
    `begin` and `end`, one of the two.

    `statuses`: [what, Status] of each response; `items`: the identifiers; `unsendable`: file -> why not.
    """
    return await _told("scu.mjs", str(port), action, *files)


async def stow(base: str, form: str, *files: Path, authorization: str) -> dict[str, Any]:
    """`status` and `answer` to a Store of what dcmjs writes of these files, as `dicom` or as `json` without pixels."""
    return await _told("stow.mjs", base, authorization, form, *files)


async def _told(program: str, *arguments: Path | str) -> dict[str, Any]:
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_FOLDER / "node_modules").is_dir():
        missing("dcmjs", "make peers")
    done = await run(node, _FOLDER / program, *arguments, timeout=120)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
