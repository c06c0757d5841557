"""docs/mpps.md shows what `gateway show` prints: each of its examinations is performed here."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from gateway.assembly import process as app
from gateway.assembly.linking import link_tools
from gateway.assembly.mappings import load_mappings
from gateway.clock import now
from gateway.operations.journey_of import journey, lines
from gateway.operations.link_by_hand import Wish, link
from gateway.operations.unlinked import lines as lines_of_unlinked
from gateway.operations.unlinked import unlinked
from gateway.records.identifiers import AccessionNumber
from tests.journey.messages import orm
from tests.journey.modality import begin, end, item, modality_of
from tests.journey.running import Start, config_of
from tests.journey.test_performed_step import UID, WRONG_ENTRY, ordered

PAGE: Final = Path(__file__).parents[2] / "docs/mpps.md"
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
TODAY: Final = partial(orm, start="202601230930")
SECOND: Final = partial(
    TODAY, control_id="MSG2", placer="P2", filler="F2", accession="ACC2", procedure="RP2", step="SPS2",
    study_uid="1.2.3.4.6",
)  # fmt: skip


async def show(gateway: app.Running) -> str:
    found = await journey(gateway.store, AccessionNumber("ACC1"))
    assert found is not None
    return "\n".join(lines(found))


async def wrong_entry(gateway: app.Running) -> str:
    await ordered(gateway, TODAY())
    await modality_of(gateway).create(begin(), UID)
    await modality_of(gateway).set(end("DISCONTINUED", WRONG_ENTRY), UID)
    return await show(gateway)


async def append(gateway: app.Running) -> str:
    await ordered(gateway, TODAY())
    for number in (1, 2):
        await modality_of(gateway).create(begin(PerformedProcedureStepID=f"PPS{number}"), f"{UID}.{number}")
        await modality_of(gateway).set(end(), f"{UID}.{number}")
    return await show(gateway)


async def group(gateway: app.Running) -> str:
    await ordered(gateway, TODAY(), SECOND())
    await modality_of(gateway).create(begin(item(), item("1.2.3.4.6", "SPS2", "ACC2", "RP2")), UID)
    await modality_of(gateway).set(end(), UID)
    return await show(gateway)


async def unscheduled(gateway: app.Running) -> str:
    await ordered(gateway, TODAY())
    await modality_of(gateway).create(begin(item("1.9", "", "", "")), UID)
    await modality_of(gateway).set(end(), UID)
    return await show(gateway)


async def waiting(gateway: app.Running) -> str:
    await unscheduled(gateway)
    return "\n".join(lines_of_unlinked(await gateway.store.read(lambda connection: unlinked(connection, limit=20))))


async def by_hand(gateway: app.Running) -> str:
    await unscheduled(gateway)
    config = config_of("sqlite:///unused")
    wish = Wish(UID, "anna", "walk-in, ordered afterwards", accession_number="ACC1")
    tools = link_tools(config, load_mappings(config))
    await gateway.store.write(partial(link, tools=tools, wish=wish, now=now()))
    return await show(gateway)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("example", [wrong_entry, append, group, unscheduled, waiting, by_hand])
async def test_the_page_shows_what_is_printed(start: Start, example: Callable[[app.Running], Awaitable[str]]) -> None:
    shown = re.findall(r"```text\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    async with start() as gateway:
        printed = await example(gateway)
    assert TIME.sub("TIME", printed) in [TIME.sub("TIME", one) for one in shown], printed
