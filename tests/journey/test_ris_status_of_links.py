"""Statuses to the RIS of examinations that are linked after they were performed, or unlinked."""

from __future__ import annotations

from functools import partial

import pytest

from gateway.assembly import process as app
from gateway.assembly.linking import link_tools
from gateway.assembly.mappings import load_mappings
from gateway.clock import now
from gateway.operations.link_by_hand import Wish, link, unlink
from gateway.simulators.ris_listener import RisListener
from tests.journey.modality import begin, end, item, modality_of
from tests.journey.running import Start, config_of, quiet
from tests.journey.test_performed_step import UID, ordered
from tests.journey.test_ris_status import BEGUN, DONE, accepted, sections

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def performed(gateway: app.Running, study: str, step: str = "SPS1", accession: str = "ACC1") -> None:
    modality = modality_of(gateway)
    assert (await modality.create(begin(item(study, step, accession)), UID)).status == 0
    assert (await modality.set(end(), UID)).status == 0


async def test_begin_and_end_are_told_when_the_order_comes_later(start: Start) -> None:
    async with RisListener() as ris, start(**sections(ris)) as gateway:
        await performed(gateway, "1.2.3.4.5")
        await ordered(gateway)
        await quiet(gateway)
        assert accepted(ris) == [BEGUN, DONE]


async def test_begin_and_end_are_told_when_a_person_links_them(start: Start, database_url: str) -> None:
    """And how the order stands when the link is taken away."""
    async with RisListener() as ris, start(**sections(ris)) as gateway:
        config = config_of(database_url, **sections(ris))
        tools = link_tools(config, load_mappings(config))
        await ordered(gateway)
        await performed(gateway, "1.9", "", "")
        assert accepted(ris) == []
        wish = Wish(UID, "anna", accession_number="ACC1")
        for change in (link, unlink):
            await gateway.store.write(partial(change, tools=tools, wish=wish, now=now()))
        await quiet(gateway)
        assert accepted(ris) == [BEGUN, DONE, "SC/SC P1 F1 PAT1"]
