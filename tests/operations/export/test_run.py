"""An export that is ended while one of its threads works."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from datetime import UTC, date
from pathlib import Path

import pytest

from gateway.operations.export.plan import ExportPlan
from gateway.operations.export.pseudonyms import Pseudonyms
from gateway.operations.export.run import export
from gateway.operations.export.writers import Format
from gateway.store import Store
from tests.conftest import until


async def _nothing(_files: object) -> None:
    pass


@pytest.mark.parametrize("ends", ["the export", "the loop"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_folder_that_is_made_while_the_export_is_ended_is_taken_away(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """By a cancellation of its own, or of every task, as by the end of a loop."""
    begun, goes_on, made, make = threading.Event(), threading.Event(), threading.Event(), tempfile.mkdtemp

    def slow(prefix: str, suffix: str, dir: Path) -> str:
        begun.set()
        goes_on.wait(120)
        try:
            return make(prefix=prefix, suffix=suffix, dir=dir)
        finally:
            made.set()

    monkeypatch.setattr(tempfile, "mkdtemp", slow)
    plan, others = ExportPlan(date(2026, 1, 1), date(2026, 1, 31), UTC, Format.CSV), asyncio.all_tasks()
    writing = asyncio.create_task(
        export(
            store, plan, Pseudonyms(bytes(32)), tmp_path / "out", on_progress=lambda *_: None,
            before_publishing=_nothing,
        )
    )  # fmt: skip
    await until(begun.is_set)
    for task in [writing] if ends == "the export" else asyncio.all_tasks() - others:
        task.cancel()
    for _ in range(3):  # the cancellation has come through, where nothing is waited for
        await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await until(made.is_set)
    assert not list(tmp_path.glob("*out*"))
