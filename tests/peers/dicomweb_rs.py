"""The client of the Rust crate dicom-web (`dicomweb-rs/`); `make rust-peers` builds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.peers.process import run

_PROGRAM = Path(__file__).parent / "dicomweb-rs" / "target" / "debug" / "dicomweb-peer"


async def search(base: str, ae_title: str, password: str, *options: str) -> Any:
    """The items as DICOM JSON, or the client's words for its failure. `options`: key=value with a path of tags in
    digits, `fuzzy`, `limit=N`."""
    return await _answer(base, ae_title, password, *options)


async def store(base: str, ae_title: str, *files: Path) -> Any:
    """The answer as DICOM JSON, or the client's words for its failure."""
    return await _answer(base, ae_title, "", "store", *files)


async def _answer(base: str, ae_title: str, password: str, *rest: Path | str) -> Any:
    if not _PROGRAM.exists():
        pytest.skip("the client of the crate dicom-web is not built; run: make rust-peers")
    done = await run(_PROGRAM, base, ae_title, password, *rest)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
