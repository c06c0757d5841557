"""No name, number, date or UID of the original is in any byte of an export, whatever senders wrote and wherever."""

from __future__ import annotations

import asyncio
from datetime import UTC, date
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.operations.export.plan import ExportPlan
from gateway.operations.export.pseudonyms import Pseudonyms
from gateway.operations.export.run import export
from gateway.operations.export.writers import Format
from gateway.store import Store
from tests.operations.export import hospital
from tests.operations.export.hospital import Examination
from tests.operations.export.reading import all_bytes, all_cells

PSEUDONYMS = Pseudonyms(bytes(range(32)))
LONG_ENOUGH = 8
"""Characters of a value that no other value holds by chance."""
# PostgreSQL keeps no NUL. Pseudonyms are of lower-case consonants.
WILD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=LONG_ENOUGH, max_size=24)
NUMBERS = st.text("0123456789", min_size=12, max_size=16)
LIKE_CODES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", min_size=LONG_ENOUGH, max_size=11)
MARK = "-9Z7Q"
"""Stands in no text of ours: strategies also draw words of the code, some of which an export has of its own."""
VALUES = st.one_of(
    WILD.filter(lambda text: len(text.strip()) >= LONG_ENOUGH).map(lambda text: text + MARK),
    NUMBERS,
    LIKE_CODES.map(lambda text: text + MARK),
)


@st.composite
def wild_examination(draw: st.DrawFn) -> list[str]:
    """Name, Patient ID, accession number, and what stands everywhere else."""
    return draw(st.lists(VALUES, min_size=4, max_size=4, unique=True))


async def _written(url: str, ones: list[Examination], folder: Path) -> list[Path]:
    await asyncio.to_thread(folder.mkdir)
    store = await Store.open(url)
    try:
        for one in ones:
            await store.write(partial(hospital.add, one=one))
        written = []
        for form in Format:
            out = folder / form.value
            plan = ExportPlan(date(2026, 1, 1), date(2026, 1, 31), UTC, form)
            await export(store, plan, PSEUDONYMS, out, on_progress=lambda *_: None, before_publishing=_nothing)
            written.append(out)
    finally:
        await store.close()
    return written


def _always(text: str, _keyword: str) -> str:
    return text


async def _nothing(_files: object) -> None:
    pass


@pytest.fixture
def counter() -> list[int]:
    return [0]


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(wild_examination(), min_size=1, max_size=6))
def test_no_value_of_the_original_leaves(
    sqlite_url: str, tmp_path: Path, counter: list[int], wild: list[list[str]]
) -> None:
    ones = []
    for values in wild:
        counter[0] += 1
        name, patient_id, accession, text = values
        ones.append(
            Examination(
                counter[0], name, f"{patient_id}-{counter[0]}", f"ISSUER-{text}", f"{accession}-{counter[0]}",
                f"1.2.826.0.1.3680043.8.498.{10**12 + counter[0]}", "19480317", partial(_always, text),
                sex=text, modality=text, code=name[:16], scheme=text,
            )
        )  # fmt: skip
    folders = asyncio.run(_written(sqlite_url, ones, tmp_path / f"{counter[0]}"))
    for folder in folders:
        written, cells = all_bytes(folder), all_cells(folder, folder.name)
        for one in ones:
            for value in {*one.identities, one.text(""), one.issuer, "20260105", "2026-01-05", "1948-03-17"}:
                assert value.encode() not in written, (folder.name, value)
                assert not [cell for cell in cells if value in cell], (folder.name, value)
