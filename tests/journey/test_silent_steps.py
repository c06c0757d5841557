"""Examinations that hang: without N-SET and images for longer than the site allows their modality."""

from __future__ import annotations

import logging
from typing import Any

import aiohttp
import pytest
from sqlalchemy import update

from gateway.assembly import process as app
from gateway.assembly.linking import link_tools
from gateway.assembly.mappings import load_mappings
from gateway.clock import now
from gateway.config.performed_steps import PerformedStepsSection
from gateway.journey.performed_step.attaching import Tools
from gateway.journey.performed_step.consequences import Change
from gateway.journey.performed_step.watching import SilenceWatch
from gateway.observe import metrics
from gateway.operations.journey_of import journey
from gateway.records.identifiers import AccessionNumber
from gateway.records.silence import HOUR, SilenceRule
from gateway.records.step import StepEvent
from gateway.store import silent_steps
from gateway.store.schema import performed_steps
from tests.conftest import comes_true
from tests.journey.modality import begin, end, going_on, modality_of
from tests.journey.running import Start, config_of, sqlite
from tests.journey.test_performed_step import UID, ordered, states
from tests.web.served import add_instance

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def watch(gateway: app.Running, rule: SilenceRule, hours: float, changes: list[Change] | None = None) -> SilenceWatch:
    """A watch whose clock is some hours ahead."""
    config = config_of("sqlite:///unused")
    history = link_tools(config, load_mappings(config)).history
    tools = Tools(history, [lambda _connection, change: (changes if changes is not None else []).append(change)])
    return SilenceWatch(gateway.store, tools, rule, lambda: now() + round(hours * HOUR))


async def silent(gateway: app.Running) -> list[Any]:
    return await gateway.store.read(lambda connection: silent_steps.listing(connection, limit=10))


@sqlite
async def test_a_silent_examination_is_listed_and_counted(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    rule = SilenceRule(12)
    async with start() as gateway:
        await ordered(gateway)
        await modality_of(gateway).create(begin(), UID)
        await watch(gateway, rule, 11).look()
        assert await silent(gateway) == []
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                await watch(gateway, rule, 13).look()
        [row] = await silent(gateway)
        assert (row["sop_uid"], row["end_event"]) == (UID, "")
        assert [one.getMessage() for one in caplog.records if "sign of life" in one.getMessage()] == [
            "an examination that CT1 began gives no sign of life"
        ]
        assert metrics.REGISTRY.get_sample_value("gateway_performed_steps_silent") == 1
        assert await states(gateway) == {"SPS1": "STARTED"}, "it is listed, and goes on"
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
        assert shown is not None
        assert "no sign of life of the examination by CT1" in [event["text"] for event in shown["events"]]
        base = f"http://127.0.0.1:{gateway.http_port}"
        async with aiohttp.ClientSession() as session, session.get(f"{base}/api/silent") as answer:
            assert [one["sop_uid"] for one in (await answer.json())["performed_steps"]] == [UID]
        async with aiohttp.ClientSession() as session, session.get(f"{base}/") as answer:
            assert "1 examination gives no sign of life" in await answer.text()
        # An N-SET is a sign of life.
        await modality_of(gateway).set(going_on(StudyID="7"), UID)
        assert await silent(gateway) == []


@ONLY_SQLITE
async def test_images_of_the_study_are_a_sign_of_life(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        await modality_of(gateway).create(begin(), UID)
        await watch(gateway, SilenceRule(12), 13).look()
        assert len(await silent(gateway)) == 1
        arrived = now() + 5 * HOUR
        await gateway.store.write(lambda c: add_instance(c, 1, at=arrived, study_uid="1.2.3.4.5"))
        await watch(gateway, SilenceRule(12), 13).look()
        assert await silent(gateway) == []
        await watch(gateway, SilenceRule(12), 18).look()
        assert len(await silent(gateway)) == 1


@ONLY_SQLITE
async def test_a_modality_may_have_hours_of_its_own(start: Start) -> None:
    rule = SilenceRule(12, {"CT": 2, "MR": 24})
    async with start() as gateway:
        for number, modality in enumerate(("CT", "MR", "US", "")):
            await modality_of(gateway).create(begin(Modality=modality), f"{UID}.{number}")
        for hours, expected in ((1, 0), (3, 1), (13, 3), (25, 4)):
            await watch(gateway, rule, hours).look()
            assert len(await silent(gateway)) == expected, hours


@sqlite
async def test_a_rule_ends_it_and_the_word_of_the_modality_counts_for_more(start: Start) -> None:
    rule, changes = SilenceRule(12, close=True), list[Change]()
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        await watch(gateway, rule, 13, changes).look()
        assert await states(gateway) == {"SPS1": "DISCONTINUED"}
        assert [(change.event, len(change.links), change.request) for change in changes] == [
            (StepEvent.PPS_SILENT, 1, None)
        ]
        await watch(gateway, rule, 14, changes).look()
        assert len(changes) == 1, "once"
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
        assert shown is not None
        assert shown["performed_steps"][0]["state"] == "IN PROGRESS", "what the modality has stated stays"
        # It goes on after all, and ends.
        assert (await modality.set(going_on(StudyID="7"), UID)).status == 0
        assert await states(gateway) == {"SPS1": "STARTED"}
        await watch(gateway, rule, 13).look()
        assert await states(gateway) == {"SPS1": "DISCONTINUED"}
        assert (await modality.set(end(), UID)).status == 0
        assert await states(gateway) == {"SPS1": "COMPLETED"}
        assert await silent(gateway) == []


async def test_what_hung_while_the_gateway_was_down_is_seen_at_its_start(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        await modality_of(gateway).create(begin(), UID)
        old = now() - 13 * HOUR
        await gateway.store.write(lambda connection: connection.execute(update(performed_steps).values(updated_at=old)))
    async with start(performed_steps=PerformedStepsSection(close_silent=True)) as gateway:
        await comes_true(lambda: states(gateway), lambda found: found == {"SPS1": "DISCONTINUED"})
