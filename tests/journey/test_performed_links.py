"""Examinations that belong to no order at first: suggestions, links by hand, and orders that come late."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Connection

from gateway.assembly import process as app
from gateway.assembly.linking import link_tools
from gateway.assembly.mappings import load_mappings
from gateway.clock import now
from gateway.errors import GatewayError
from gateway.journey.performed_step.attaching import Tools
from gateway.journey.performed_step.consequences import Change
from gateway.operations.journey_of import journey
from gateway.operations.link_by_hand import Wish, link, unlink
from gateway.operations.unlinked import lines, unlinked
from gateway.records.identifiers import AccessionNumber
from gateway.records.step import StepEvent
from gateway.store import worklist as worklist_rows
from tests.journey.messages import orm
from tests.journey.modality import begin, end, item, modality_of
from tests.journey.running import Start, config_of, sqlite
from tests.journey.test_performed_step import UID, findings, hl7_time, kept, matches, ordered, states

TODAY = orm(start="20260123090000")
UNSCHEDULED = item("1.9", "", "", "")


async def performed(gateway: app.Running, uid: str = UID, *items: Any, **values: Any) -> None:
    modality = modality_of(gateway)
    assert (await modality.create(begin(*(items or (UNSCHEDULED,)), **values), uid)).status == 0
    assert (await modality.set(end(), uid)).status == 0


async def post(gateway: app.Running, action: str, **query: str) -> tuple[int, Any]:
    login = {"Authorization": aiohttp.encode_basic_auth("anna", "any")}
    address = f"http://127.0.0.1:{gateway.http_port}/api/performed-steps/{UID}/{action}"
    async with aiohttp.ClientSession() as session, session.post(address, params=query, headers=login) as response:
        return response.status, await response.json()


async def waiting(gateway: app.Running) -> list[Any]:
    return await gateway.store.read(lambda connection: unlinked(connection, limit=10))


async def texts(gateway: app.Running, accession: str = "ACC1") -> list[str]:
    shown = await journey(gateway.store, AccessionNumber(accession))
    assert shown is not None
    return [event["text"] for event in shown["events"] if event["station"] == "performed_step"]


@sqlite
async def test_an_unscheduled_examination_is_suggested_and_linked_by_hand(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, TODAY, orm(control_id="2", placer="P2", filler="F2", accession="ACC2", study_uid="1.8"))
        await performed(gateway)
        [step] = await waiting(gateway)
        [suggestion] = step.suggestions
        assert (suggestion.accession, suggestion.step_id, suggestion.state) == ("ACC1", "SPS1", "SCHEDULED")
        assert suggestion.reasons == ["the same patient", "the same modality", "the same day", "not begun yet"]
        assert await states(gateway) == {"SPS1": "SCHEDULED"}, "a suggestion links nothing"
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
        assert shown is not None
        assert [one["sop_uid"] for one in shown["suggestions"]] == [UID]
        assert "step SPS1 of order" in "\n".join(lines([step]))

        status, answer = await post(gateway, "link", accession="ACC1", reason="walk-in")
        assert (status, answer["changed"], answer["person"]) == (200, True, "anna")
        assert sorted(await all_states(gateway)) == [("ACC1", "COMPLETED"), ("ACC2", "SCHEDULED")]
        assert await matches(gateway) == [("SPS1", "hand")]
        assert await waiting(gateway) == []
        assert (await post(gateway, "link", accession="ACC1"))[1]["changed"] is False
        began, ended, by_hand = await texts(gateway)
        assert began.startswith("CT1 began an examination of step SPS1 (by hand)")
        assert ended == "CT1 ended it: COMPLETED"
        assert by_hand == "examination by CT1 linked to step SPS1 by anna: walk-in"

        status, answer = await post(gateway, "unlink", reason="another patient", person="bert")
        assert (status, answer["person"]) == (200, "bert")
        assert sorted(await all_states(gateway)) == [("ACC1", "SCHEDULED"), ("ACC2", "SCHEDULED")]
        assert (await texts(gateway))[-1] == "examination by CT1 no longer linked to step SPS1 by bert: another patient"
        assert len(await waiting(gateway)) == 1


async def all_states(gateway: app.Running) -> list[tuple[str, str]]:
    rows = await gateway.store.read(lambda connection: connection.execute(worklist_rows.ITEMS).mappings().all())
    return [(row["accession"], row["state"]) for row in rows]


@sqlite
async def test_no_rule_links_again_what_a_person_has_unlinked(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, TODAY)
        await performed(gateway, UID, item())
        assert (await post(gateway, "unlink"))[0] == 200
        assert await states(gateway) == {"SPS1": "SCHEDULED"}
        await ordered(gateway, orm(control="XO", control_id="2", at=hl7_time(), start="20301126070000"))
        assert await states(gateway) == {"SPS1": "SCHEDULED"}
        assert (await post(gateway, "unlink"))[0] == 404
        assert (await post(gateway, "link", accession="ACC1"))[0] == 200
        assert await states(gateway) == {"SPS1": "COMPLETED"}


@sqlite
async def test_what_is_not_clear_is_named(start: Start) -> None:
    second = orm(control_id="2", placer="P2", filler="F2", study_uid="1.8")
    async with start() as gateway:
        await ordered(gateway, TODAY, second)
        await performed(gateway)
        for query, status, text in (
            ({}, 422, "name the order"),
            ({"accession": "ACC9"}, 404, "no such order"),
            ({"order": "99"}, 404, "no such order"),
            ({"accession": "ACC1", "step": "S9"}, 404, "the steps are SPS1"),
            ({"accession": "ACC1"}, 409, "several orders fit; name the order: 1, 2"),
            ({"order": "0"}, 400, "greater than or equal to 1"),
        ):
            answered, body = await post(gateway, "link", **query)
            assert (answered, text in body["error"]["message"]) == (status, True), body
        assert (await post(gateway, "link", order="2"))[0] == 200
        assert (await post(gateway, "link", order="1"))[0] == 200, "an examination may carry out several steps"
        assert (await post(gateway, "unlink"))[0] == 409
        assert (await post(gateway, "unlink", order="1"))[0] == 200


async def test_a_link_by_hand_has_the_consequences_of_begin_and_end(start: Start, database_url: str) -> None:
    """So that the RIS hears of both, in their order; a link that is there already has none, and one that is taken away
    is told of too."""
    changes: list[tuple[Change, str]] = []

    def note(connection: Connection, change: Change) -> None:
        [row] = connection.execute(worklist_rows.ITEMS).mappings()
        changes.append((change, row["state"]))

    config = config_of(database_url)
    tools = Tools(link_tools(config, load_mappings(config)).history, [note])
    async with start() as gateway:
        await ordered(gateway, TODAY)
        await performed(gateway)
        wish = Wish(UID, "anna", accession_number="ACC1")
        for _ in range(2):
            await gateway.store.write(partial(link, tools=tools, wish=wish, now=now()))
        await gateway.store.write(partial(unlink, tools=tools, wish=wish, now=now()))
    assert [(change.event, state) for change, state in changes] == [
        (StepEvent.PPS_START, "STARTED"),
        (StepEvent.PPS_COMPLETE, "COMPLETED"),
        (StepEvent.PPS_WRONG_ENTRY, "SCHEDULED"),
    ]
    assert [change.event_at for change, _ in changes] == sorted(change.event_at for change, _ in changes)
    assert {(change.sop_uid, change.request, len(change.links)) for change, _ in changes} == {(UID, None, 1)}


@sqlite
async def test_an_order_that_cannot_be_rebuilt_is_left_as_it_was(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, TODAY)
        await performed(gateway, UID, item())
        without_messages = Tools(lambda _connection, _order: [], ())
        with pytest.raises(GatewayError, match="cannot be rebuilt"):
            await gateway.store.write(partial(unlink, tools=without_messages, wish=Wish(UID, "anna"), now=now()))
        assert await states(gateway) == {"SPS1": "COMPLETED"}
        assert await matches(gateway) == [("SPS1", "study and step")]


@sqlite
@pytest.mark.parametrize(
    ("chosen", "match"),
    [
        (item(), "study and step"),
        (item(step=""), "only step of the study"),
        (item(study="1.9", step=""), "accession number"),
    ],
)
async def test_an_order_that_comes_after_its_examination(start: Start, chosen: Any, match: str) -> None:
    async with start() as gateway:
        await performed(gateway, UID, chosen)
        assert len(await waiting(gateway)) == 1
        await ordered(gateway)
        assert await states(gateway) == {"SPS1": "COMPLETED"}
        assert await matches(gateway) == [("SPS1", match)]
        assert await waiting(gateway) == []
        [row] = await kept(gateway)
        assert "no order has" not in "".join(findings(row))


@sqlite
async def test_a_late_order_of_another_patient(start: Start) -> None:
    """By Study Instance UID it is linked, with a finding; by accession number alone it is not."""
    async with start() as gateway:
        await performed(gateway, UID, item(), PatientID="PAT9")
        await performed(gateway, f"{UID}.2", item(study="1.9"), PatientID="PAT9")
        await ordered(gateway)
        assert await states(gateway) == {"SPS1": "COMPLETED"}
        first, second = await kept(gateway)
        assert findings(first) == [
            "PatientID: is not that of the order's patient; nothing of the patient is overwritten"
        ]
        assert len(await matches(gateway)) == 1
        assert [one.sop_uid for one in await waiting(gateway)] == [second["sop_uid"]]


@sqlite
async def test_each_item_of_a_group_waits_for_its_own_order(start: Start) -> None:
    both = (item(), item("1.2.3.4.6", "SPS2", "ACC2", "RP2"))
    second = orm(control_id="2", placer="P2", filler="F2", accession="ACC2", procedure="RP2", step="SPS2",
                 study_uid="1.2.3.4.6")  # fmt: skip
    async with start() as gateway:
        await performed(gateway, UID, *both)
        await ordered(gateway, second)
        assert await states(gateway) == {"SPS2": "COMPLETED"}
        assert len(await waiting(gateway)) == 1
        await ordered(gateway)
        assert await states(gateway) == {"SPS1": "COMPLETED", "SPS2": "COMPLETED"}
        assert await waiting(gateway) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_order_and_examination_that_come_at_once_to_two_gateways(start: Start) -> None:
    """Whichever commits first, the other sees it: every examination is linked."""
    async with start() as first, start() as second:
        modality = modality_of(second)

        async def examination(number: int) -> None:
            chosen = item(f"1.2.3.{number}", "SPS1", f"ACC{number}")
            assert (await modality.create(begin(chosen), f"{UID}.{number}")).status == 0

        for number in range(12):
            order = orm(control_id=f"M{number}", placer=f"P{number}", filler=f"F{number}", accession=f"ACC{number}",
                        study_uid=f"1.2.3.{number}")  # fmt: skip
            await asyncio.gather(examination(number), ordered(first, order))
        assert [state for _, state in await all_states(first)] == ["STARTED"] * 12
        assert await waiting(first) == []
