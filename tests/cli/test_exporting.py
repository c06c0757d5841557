"""`gateway export` as a person runs it."""

from __future__ import annotations

import builtins
import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.cli.options import user_of_system
from gateway.errors import ConfigError
from gateway.operations.audit.dicom_message import AuditSource, dicom_message
from gateway.operations.export import writers
from gateway.operations.export.writers import Format
from gateway.records.audit import ActorKind, AuditKind, event_of
from gateway.store import Store, audit, schema
from tests.commands import Command
from tests.conftest import until
from tests.operations.audit.events import faults
from tests.operations.export import hospital
from tests.operations.export.test_columns import ALL, ERIKA

DAYS = ("--from", "2026-01-01", "--to", "2026-01-31")


@pytest.fixture
async def filled(sqlite_url: str, tmp_path: Path) -> Path:
    """A folder with a configuration and a database of three examinations."""
    store = await Store.open(sqlite_url)
    for one in ALL:
        await store.write(partial(hospital.add, one=one))
    await store.close()
    (tmp_path / "gateway.yaml").write_text("database: {url: 'sqlite:///gateway.db'}\n")
    return tmp_path


async def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    command = Command(("export", *arguments), folder, {})
    code = await command.ended()
    output, errors = command.output, command.errors
    await command.end()
    return code, output, errors


async def test_an_export_prints_its_files_and_makes_its_key_once(filled: Path) -> None:
    code, output, errors = await run(filled, *DAYS, "--out", "january")
    assert (code, "january/orders.csv: 3 rows" in output, "export.key made" in errors) == (0, True, True)
    code, output, errors = await run(filled, *DAYS, "--out", "again", "--json", "--format", "ndjson")
    assert (code, errors) == (0, "")
    assert json.loads(output)["files"]["instances"]["rows"] == 6
    texts = [(filled / name).read_text() for name in ("january/orders.csv", "again/orders.ndjson")]
    patients = [line.split(",")[1] for line in texts[0].splitlines()[1:]]
    # Rows stand in an order by chance.
    assert sorted(json.loads(line)["patient"] for line in texts[1].splitlines()) == sorted(patients)
    assert ERIKA.patient_id not in "".join(texts)


async def test_an_export_is_in_the_audit_trail(filled: Path, sqlite_url: str) -> None:
    assert (await run(filled, *DAYS, "--out", "january", "--retain", "device"))[0] == 0
    store = await Store.open(sqlite_url)
    await store.write(audit.seal)
    texts = await store.read(lambda connection: list(connection.execute(select(schema.audit.c.event)).scalars()))
    await store.close()
    [event] = [one for one in map(event_of, texts) if one.kind is AuditKind.DATA_EXPORT]
    assert (event.actor.name, event.actor.kind) == (user_of_system(), ActorKind.PERSON)
    assert (event.detail["from"], event.detail["to"], event.detail["retained"]) == (
        "2026-01-01",
        "2026-01-31",
        "device",
    )
    assert "2026-01-01 to 2026-01-31, as csv: orders 3, steps 3" in event.note
    assert faults(dicom_message(event, AuditSource("Test site", "gateway1", "192.0.2.100"))) == []


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--from", "2026-02-01", "--to", "2026-01-01", "--out", "out"), 2, "--to is before --from"),
        ((*DAYS, "--out", "out", "--key", "out/export.key"), 2, "leave with it"),
        ((*DAYS, "--out", "none/out"), 1, "none/out: cannot be made"),
        ((*DAYS, "--out", "gateway.db"), 1, "never overwrites"),
        ((*DAYS, "--out", "out", "--key", "gateway.yaml"), 1, "chmod 600"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_its_cure(
    filled: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    ended, output, errors = await run(filled, *arguments)
    assert (ended, output) == (code, "")
    assert complaint in errors.replace("\n", " ")
    assert not (filled / "out").exists()


async def test_an_export_that_is_ended_leaves_nothing(filled: Path) -> None:
    command = Command(("export", *DAYS, "--out", "out"), filled, {}, prepare=_wait_for_the_signal)
    await until(lambda: list(filled.glob(".out.*.partial")), what="a folder that is being filled")
    command.signal(signal.SIGTERM)
    assert await command.ended() == 128 + signal.SIGTERM
    await command.end()
    assert not list(filled.glob("*out*"))


def _wait_for_the_signal() -> None:
    """Let the pages of the store wait for ever."""
    import asyncio

    from gateway.operations.export import run as exporting

    async def forever(*_: Any) -> Any:
        await asyncio.Event().wait()
        yield {}

    setattr(exporting, "_pages", forever)  # noqa: B010


def test_parquet_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"imaging-gateway\[analytics\]"):
        writers.check(Format.PARQUET)
    writers.check(Format.CSV)
