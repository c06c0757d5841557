"""Statuses to the RIS: what it receives over MLLP, in order and once each, whatever it does meanwhile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.destinations import Destination, DestinationRetry
from gateway.config.hl7 import Hl7, Listener
from gateway.config.receiver import ClientTls
from gateway.config.tree import MappingsSection
from gateway.observe import metrics
from gateway.operations.journey_of import journey
from gateway.operations.parked import parked_work
from gateway.records.identifiers import AccessionNumber
from gateway.simulators.ris_listener import RisListener
from gateway.simulators.ris_manners_file import RisRule, RisScript
from gateway.store import order_kin, outbox_listing
from gateway.store.schema import orders
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.structure import check
from gateway.wire.tls import server_context
from tests.conftest import until
from tests.journey.messages import adt, orm
from tests.journey.modality import begin, end, going_on, item, modality_of
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_order_intake import send, told
from tests.journey.test_performed_step import ordered
from tests.peers.openssl import Authority

UID = "1.2.826.0.1.3680043.8.498.7"


def sections(*receivers: RisListener, **given: Any) -> dict[str, Any]:
    """A configuration with these receivers as destinations `ris0`, `ris1` ..., which are tried again soon."""
    return to(*(to_one(f"ris{number}", receiver, **given) for number, receiver in enumerate(receivers)))


def to(*destinations: Destination) -> dict[str, Any]:
    return {"hl7": Hl7(listeners=[Listener(port=0, conformance="off")], destinations=list(destinations))}


def to_one(name: str, receiver: RisListener, *, seconds: float = 60.0, **given: Any) -> Destination:
    retry = DestinationRetry(first_seconds=0.05, max_seconds=0.1)
    return Destination(name=name, port=receiver.port, timeout_seconds=seconds, retry=retry, **given)


def stated(message: Message) -> str:
    orc, pid = message.first("ORC"), message.first("PID")
    assert orc is not None
    assert pid is not None
    return f"{orc.leaf(1)}/{orc.leaf(5)} {orc.leaf(2)} {orc.leaf(3)} {pid.leaf(3)}"


def field(message: Message, segment: str, number: int) -> str:
    """A field of the first segment of a name, as sent."""
    found = message.first(segment)
    assert found is not None
    return found.field(number)


def accepted(ris: RisListener) -> list[str]:
    return [stated(message) for message in ris.accepted.values()]


async def rows(gateway: app.Running) -> list[dict[str, Any]]:
    found = await gateway.store.read(partial(outbox_listing.listing, limit=100))
    return [row for row in reversed(found) if row["kind"].startswith(("status:", "forward:"))]


async def perform(gateway: app.Running, uid: str = UID, **values: Any) -> None:
    """An examination from its begin to its end; `values`: of the last N-SET."""
    modality = modality_of(gateway)
    assert (await modality.create(begin(), uid)).status == 0
    assert (await modality.set(end(**values), uid)).status == 0


BEGUN, DONE = "SC/IP P1 F1 PAT1", "SC/CM P1 F1 PAT1"


@sqlite
async def test_an_examination_is_told_as_it_begins_and_as_it_ends(start: Start) -> None:
    async with RisListener() as ris, start(**sections(ris)) as gateway:
        await ordered(gateway, orm(placer="P1^RIS", patient="PAT1^^^HOSP~77^^^INS"))
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        await until(lambda: bool(ris.accepted))
        await modality.set(going_on(CommentsOnThePerformedProcedureStep="more"), UID)
        await ordered(gateway, orm(control="XO", control_id="MSG2", name="MUSTER^MAXIM", at="20260123120100"))
        await modality.set(end(), UID)
        await quiet(gateway)
        assert accepted(ris) == [BEGUN, DONE]
        first, last = ris.received
        lines = [re.sub(r"20\d{12}[+-]\d{4}", "NOW", line) for line in first.text.split("\r")]
        assert lines[1:] == [
            "PID|||PAT1^^^HOSP~77^^^INS||MUSTER^MAX||19800102|M",
            "PV1||O|||||^REFERRER^RITA",
            "ORC|SC|P1^RIS|F1||IP||||NOW|||^REQUESTER^RUTH",
            "OBR|1|P1^RIS|F1|CTH^CT head^99RIS|||NOW|||||||||^REQUESTER^RUTH||ACC1|RP1|SPS1||NOW||CT",
            "ZDS|1.2.3.4.5^RIS^Application^DICOM",
            "",
        ]
        assert (field(first, "OBR", 7), field(last, "OBR", 8)) == ("20260123130000+0000", "20260123131500+0000")
        assert field(last, "PID", 5) == "MUSTER^MAXIM", "what the RIS has called the patient last"
        assert first.declared_charset == "UNICODE UTF-8"
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
        assert shown is not None
        assert [one["text"] for one in shown["events"] if one["station"] == "ris_status"] == [
            f"ris0 has the status that the order is started, answered AA to {first.control_id}",
            f"ris0 has the status that the order is completed, answered AA to {last.control_id}",
        ]


STATED: dict[str, tuple[str, int, list[str]]] = {
    "ORM^O01": ("ORC", 5, ["IP", "CM"]),
    "OMG^O19": ("ORC", 5, ["IP", "CM"]),
    "OMI^O23": ("ORC", 5, ["IP", "CM"]),
    "ORU^R01": ("OBR", 25, ["I", "R"]),
    "SIU^S14": ("SCH", 25, ["Started", "Complete"]),
}
"""By type of message: segment and field of the status, and its values."""


@sqlite
async def test_each_type_of_message_has_the_structure_of_the_standard(start: Start) -> None:
    async with AsyncExitStack() as stack:
        receivers = {kind: await stack.enter_async_context(RisListener()) for kind in STATED}
        destinations = (to_one(kind[:3].lower(), ris, status=kind, charset="8859/1") for kind, ris in receivers.items())
        gateway = await stack.enter_async_context(start(**to(*destinations)))
        await ordered(gateway, orm(name="MÜSTER\\T\\SÖHNE^MAX", charset="8859/1"))
        await perform(gateway)
        await quiet(gateway)
    for kind, (segment, number, values) in STATED.items():
        received = receivers[kind].received
        segments = [message.first(segment) for message in received]
        assert [one.leaf(number) for one in segments if one is not None] == values, kind
        for message in received:
            assert b"M\xdcSTER\\T\\S\xd6HNE" in message.raw, f"{kind}: MSH-18 names the encoding of the bytes"
            assert [str(one) for one in check(message.text, "") if one.severity == "structure"] == [], kind


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"status": "DISCONTINUED"}, "DC"), ({"status": "DISCONTINUED", "reason": "110514"}, "SC")],
    ids=["discontinued", "wrong entry"],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_how_it_ended_is_told(start: Start, values: dict[str, str], expected: str) -> None:
    async with RisListener() as ris, start(**sections(ris)) as gateway:
        await ordered(gateway)
        await perform(gateway, **values)
        await quiet(gateway)
        assert [one.split()[0] for one in accepted(ris)] == ["SC/IP", f"SC/{expected}"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_order_of_a_group_is_told_and_each_destination_by_itself(start: Start) -> None:
    async with RisListener() as ris, RisListener() as other, start(**sections(ris, other)) as gateway:
        ris.behave(RisScript(rules=[RisRule(do="close_before", times=8)]))
        second = orm(
            control_id="MSG2",
            placer="P2",
            filler="F2",
            accession="ACC2",
            procedure="RP2",
            step="SPS2",
            study_uid="1.2.3.6",
        )
        await ordered(gateway, orm(), second)
        both = begin(item(), item("1.2.3.6", "SPS2", "ACC2", "RP2"))
        await modality_of(gateway).create(both, UID)
        await until(lambda: len(other.accepted) == 2)
        await modality_of(gateway).set(end(), UID)
        await quiet(gateway)
        for receiver in (ris, other):
            told = accepted(receiver)
            assert [one for one in told if " P1 " in one] == [BEGUN, DONE]
            assert [one for one in told if " P2 " in one] == ["SC/IP P2 F2 PAT1", "SC/CM P2 F2 PAT1"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_order_is_completed_with_its_last_step(start: Start) -> None:
    async with RisListener() as ris, start(**sections(ris)) as gateway:
        more = (
            "ORC|NW|P1|F1||SC||1^^^20301124093000^^R||20260123120000",
            "OBR|2|P1|F1|CTT^CT thorax^99RIS||||||||||||||ACC1|RP1|SPS2||||CT|||1^^^20301124093000^^R",
        )
        await ordered(gateway, orm(more=more))
        for number, step in enumerate(("SPS1", "SPS2")):
            uid = f"{UID}.{number}"
            await modality_of(gateway).create(begin(item(step=step)), uid)
            await modality_of(gateway).set(end(), uid)
        await quiet(gateway)
        told = [(stated(one).split()[0], field(one, "OBR", 20)) for one in ris.received]
        assert told == [("SC/IP", "SPS1"), ("SC/IP", "SPS1"), ("SC/IP", "SPS2"), ("SC/CM", "SPS2")]


TRIES: dict[str, tuple[RisRule, int]] = {
    "silent": (RisRule(do="silent", times=2), 4),
    "closes-before": (RisRule(do="close_before", times=2), 4),
    "closes-after": (RisRule(do="close_after", times=2), 4),
    "other": (RisRule(do="other", times=1), 3),
    "slow": (RisRule(do="slow", seconds=0.1), 2),
    "commit": (RisRule(do="answer", code="CA", then="AA"), 2),
}


@sqlite
async def test_no_answer_means_the_same_message_once_more(start: Start) -> None:
    async with AsyncExitStack() as stack:
        receivers = {
            name: await stack.enter_async_context(RisListener(script=RisScript(rules=[rule])))
            for name, (rule, _) in TRIES.items()
        }
        destinations = (
            to_one(name, ris, seconds=6.0 if name in ("silent", "other") else 60.0) for name, ris in receivers.items()
        )
        gateway = await stack.enter_async_context(start(**to(*destinations)))
        await ordered(gateway)
        await perform(gateway)
        await quiet(gateway)
    for name, ris in receivers.items():
        assert accepted(ris) == [BEGUN, DONE], f"{name}: in order, once each"
        assert len({one.raw for one in ris.received}) == 2, f"{name}: a retry has the bytes of the first try"
    assert {name: len(ris.received) for name, ris in receivers.items()} == {name: one[1] for name, one in TRIES.items()}


@sqlite
async def test_a_refusal_waits_for_a_person_with_the_words_of_the_ris(start: Start) -> None:
    words = "unknown filler order number F1"
    async with AsyncExitStack() as stack:
        receivers = {}
        for code in ("AE", "AR", "CE", "CR"):
            rule = RisRule.model_validate({"do": "answer", "code": code, "text": words, "times": 1})
            receivers[code] = await stack.enter_async_context(RisListener(script=RisScript(rules=[rule])))
        destinations = (to_one(code.lower(), ris) for code, ris in receivers.items())
        gateway = await stack.enter_async_context(start(**to(*destinations)))
        await ordered(gateway)
        await modality_of(gateway).create(begin(), UID)
        await quiet(gateway)
        parked = (await gateway.store.read(partial(parked_work, most=10))).deliveries
        assert {(one["kind"], one["state"]) for one in parked} == {
            (f"status:{code.lower()}", "parked") for code in receivers
        }
        for one in parked:
            code = one["kind"].partition(":")[2].upper()
            assert one["outcome"]["error"].startswith(f"answered {code}: {words}")
        again = partial(outbox_listing.replay, ids=[one["id"] for one in parked], now=now())
        await gateway.store.write(again)
        await quiet(gateway)
        for code, ris in receivers.items():
            assert accepted(ris) == [BEGUN], code
            refused, repeated = ris.received
            assert refused.control_id != repeated.control_id, "an MSH-10 that was refused would be refused again"


@sqlite
async def test_a_status_that_is_made_again_is_of_the_order_that_a_merge_has_left(start: Start) -> None:
    rule = RisRule.model_validate({"do": "answer", "code": "AE", "text": "not now", "times": 1})

    def join(connection: Connection) -> None:
        gone, kept = connection.execute(select(orders.c.id).order_by(orders.c.accession)).scalars()
        order_kin.join(connection, kept, gone)

    async with RisListener(script=RisScript(rules=[rule])) as ris, start(**sections(ris)) as gateway:
        second = orm(control_id="MSG2", placer="P2", filler="F2", accession="ACC2", study_uid="1.2.3")
        await ordered(gateway, orm(), second)
        await modality_of(gateway).create(begin(), UID)
        await quiet(gateway)
        [refused] = (await gateway.store.read(partial(parked_work, most=10))).deliveries
        await gateway.store.write(join)
        await gateway.store.write(partial(outbox_listing.replay, ids=[refused["id"]], now=now()))
        await quiet(gateway)
        assert accepted(ris) == ["SC/IP P2 F2 PAT1"]


async def test_a_ris_that_is_down_holds_nothing_else_and_gets_all_of_it_in_order(start: Start) -> None:
    async with RisListener() as other:
        down = RisListener(free_port())
        async with start(**sections(down, other)) as gateway:
            await ordered(gateway)
            await perform(gateway)
            await until(lambda: len(other.accepted) == 2)
            assert accepted(other) == [BEGUN, DONE]
            assert {row["state"] for row in await rows(gateway) if row["kind"] == "status:ris0"} <= {
                "pending",
                "leased",
            }
            async with down:
                await quiet(gateway)
                assert accepted(down) == [BEGUN, DONE]
            assert metrics.DESTINATION_OPEN.labels("ris0")._value.get() == 0


async def test_a_stop_between_keeps_what_is_due(start: Start) -> None:
    down = RisListener(free_port())
    async with start(**sections(down)) as gateway:
        await ordered(gateway)
        await perform(gateway)
    async with down, start(**sections(down)) as gateway:
        await quiet(gateway)
        assert accepted(down) == [BEGUN, DONE]
        assert len(down.received) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_cannot_be_made_waits_for_a_person_and_stops_no_examination(start: Start, tmp_path: Any) -> None:
    overlay = tmp_path / "site"
    overlay.mkdir()
    (overlay / "step_to_status.yaml").write_text("OBR:\n  OBR-4: {from: OBR-40, required: true}\n", encoding="utf-8")
    wrong = MappingsSection(overlay=overlay)
    async with RisListener() as ris:
        async with start(**sections(ris), mappings=wrong) as gateway:
            await ordered(gateway)
            await modality_of(gateway).create(begin(), UID)
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=10))).deliveries
            assert parked["outcome"]["error"].startswith("no message can be made: OBR-4: has no value"), parked
        async with start(**sections(ris)) as gateway:
            await gateway.store.write(lambda connection: outbox_listing.replay(connection, [parked["id"]], now=now()))
            await quiet(gateway)
            assert accepted(ris) == [BEGUN]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_destination_that_asks_for_our_certificate(start: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    theirs, ours = authority.issue("ris.hospital"), authority.issue("gateway.hospital")
    listens = server_context(theirs.certificate, theirs.key, None, authority.certificate)
    given = ClientTls(ca=authority.certificate, certificate=ours.certificate, key=ours.key)
    async with RisListener(tls=listens) as ris:
        async with start(**sections(ris, tls=ClientTls(ca=authority.certificate))) as gateway:
            await ordered(gateway)
            await modality_of(gateway).create(begin(), UID)
            await until(lambda: metrics.DESTINATION_OPEN.labels("ris0")._value.get() == 1)
            assert ris.received == [], "without ours it does not listen"
        async with start(**sections(ris, tls=given)) as gateway:
            await quiet(gateway)
            assert accepted(ris) == [BEGUN]


# Messages that are passed on


def types(messages: Sequence[Message]) -> list[str]:
    return [f"{one.type}^{one.trigger} {one.control_id}" for one in messages]


@sqlite
async def test_messages_are_passed_on_with_their_bytes_in_order_for_each_patient(start: Start) -> None:
    forward = ["ADT^A08", "ADT^A40", "ORM"]
    async with RisListener() as ris, start(**sections(ris, status="", forward=forward)) as gateway:
        ris.behave(RisScript(rules=[RisRule(do="close_before", times=3)]))
        sent = [
            orm(name="MÜSTER^MAX", charset="8859/1"),
            adt("A08", control_id="A1", name="MUSTER^MAXIMUS"),
            adt("A28", control_id="A2", patient="OLD^^^HOSP"),
            adt("A08", control_id="A3", patient="OLD^^^HOSP"),
            adt("A40", control_id="A4", prior="OLD^^^HOSP"),
            adt("A08", control_id="A5"),
        ]
        acks = await send(gateway, *sent)
        assert [told(ack)[0] for ack in acks] == ["AA"] * len(sent)
        await quiet(gateway)
        passed = list(ris.accepted.values())
        assert sorted(one.raw for one in passed) == sorted(one for one in sent if b"A28" not in one)
        places = {one.control_id: number for number, one in enumerate(passed)}
        assert places["MSG1"] < places["A1"] < places["A4"] < places["A5"]
        assert places["A3"] < places["A4"]


async def test_what_waits_for_a_patient_goes_before_the_merge_that_ends_the_patient(start: Start) -> None:
    """Also before a merge of the survivor's survivor."""
    script = RisScript(rules=[RisRule(do="close_before", type="ADT^A08", times=3)])
    async with RisListener(script=script) as ris, start(**sections(ris, status="", forward=["ADT"])) as gateway:
        registered = [
            adt("A04", control_id=f"N{number}", patient=f"{one}^^^HOSP")
            for number, one in enumerate(("OLD", "MID", "NEW"))
        ]
        await send(gateway, *registered)
        await quiet(gateway)
        waits = adt("A08", control_id="W", patient="OLD^^^HOSP", name="MUSTER^MAXIM", at="20260123120100")
        first = adt("A40", control_id="M1", patient="MID^^^HOSP", prior="OLD^^^HOSP", at="20260123120200")
        second = adt("A40", control_id="M2", patient="NEW^^^HOSP", prior="MID^^^HOSP", at="20260123120300")
        acks = await send(gateway, waits, first, second)
        assert [told(ack)[0] for ack in acks] == ["AA"] * 3
        await quiet(gateway)
        assert list(ris.accepted)[3:] == ["W", "M1", "M2"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_message_that_was_refused_or_repeated_is_not_passed_on(start: Start) -> None:
    async with RisListener() as ris, start(**sections(ris, status="", forward=["ORM"])) as gateway:
        acks = await send(gateway, orm(patient=""), orm(control_id="MSG2"), orm(control_id="MSG2"))
        assert [told(ack)[0] for ack in acks] == ["AE", "AA", "AA"]
        await quiet(gateway)
        assert types(ris.received) == ["ORM^O01 MSG2"]
