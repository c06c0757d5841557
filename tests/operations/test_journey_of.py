from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from gateway.errors import Fate
from gateway.operations import journey_of
from gateway.operations.journey_of import CUT, journey, lines
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.imaging_order import Order
from gateway.records.lookup import MessageNumber, NumberKind
from gateway.records.order import Number
from gateway.records.row_ids import WorkRow
from gateway.records.step import StepState
from gateway.records.work import Lane, WorkKind, delivery_to
from gateway.store import message_numbers, message_ties, order_book, outbox, outbox_claims, work_tries
from tests.web.console.reader import shown
from tests.web.served import (
    NINE,
    SECOND,
    STUDY,
    Served,
    add_delivery,
    add_instance,
    add_message,
    add_order,
    whole_journey,
)


async def told(console: Served, accession: str = "A100") -> list[tuple[str, str, str]]:
    found = await journey(console.store, accession)
    assert found is not None
    return [(event["at"][11:19], event["station"], event["text"]) for event in found["events"]]


async def test_the_whole_journey_reads_from_top_to_bottom(console: Served) -> None:
    await console.store.write(whole_journey)
    last = "2026-01-05T09:20:00.000000Z"
    finding = "StudyDate: started: '20261399' is no date; it is left out"
    assert await told(console) == [
        ("09:00:00", "order_intake", "ORM^O01 C1 received from ris, AA (created)"),
        ("09:00:00", "scheduling", "step scheduled CT 2026-01-05 10:30 at CT1"),
        ("09:10:00", "worklist", f"worklist answered CT1 (2 times, last at {last})"),
        ("09:30:00", "study_arrival", "first instance arrived from ORTHANC"),
        ("09:30:02", "study_arrival", "3 instances in 2 series arrived from ORTHANC"),
        ("09:30:40", "study_settling", f"settled, as no image came for its quiet time; {finding}"),
        ("09:30:41", "ehr_delivery", "delivered to main as ImagingStudy/is-1 version 1"),
    ]


async def test_the_object_holds_every_part(console: Served) -> None:
    ids = await console.store.write(whole_journey)
    found = await journey(console.store, "A100")
    assert found is not None
    assert [order["id"] for order in found["orders"]] == [ids["order"]]
    assert [(one["id"], one["outcome"], one["ack_code"]) for one in found["messages"]] == [
        (ids["message"], "created", "AA")
    ]
    assert [(one["step_id"], one["state"], one["study_uid"]) for one in found["steps"]] == [
        ("SPS1", "SCHEDULED", STUDY)
    ]
    assert [(one["calling_ae"], one["times"]) for one in found["worklist"]] == [("CT1", 2)]
    (study,) = found["studies"]
    assert (study["tied_by"], study["linked"], study["instance_count"]) == ("study_uid", True, 3)
    (delivery,) = found["deliveries"]
    assert (delivery["state"], delivery["attempts"], delivery["outcome"]["id"]) == ("done", 1, "is-1")


async def test_nothing_is_known_of_a_number_that_nobody_used(console: Served) -> None:
    await console.store.write(whole_journey)
    assert await journey(console.store, "A10") is None
    assert await journey(console.store, "") is None


async def test_a_study_without_an_order_has_a_journey(console: Served) -> None:
    await console.store.write(lambda c: add_instance(c, 1, at=NINE, accession="A300"))
    found = await journey(console.store, "A300")
    assert found is not None
    assert (found["orders"], len(found["studies"])) == ([], 1)
    assert [event["text"] for event in found["events"]] == [
        "1 instance in 1 series arrived from ORTHANC; no order here is linked to it"
    ]


async def test_a_cancel_that_came_before_its_order_has_a_journey(console: Served) -> None:
    def tombstone(connection: Connection) -> None:
        numbers = Number("P400", "HOSP"), Number("", "")
        order_book.save(
            connection, None, Order("HOSP", "HOSP", *numbers, "", {"AccessionNumber": "A400"}, NINE), now=NINE
        )

    await console.store.write(tombstone)
    found = await journey(console.store, "A400")
    assert found is not None
    assert [(order["accession"], order["patient"]) for order in found["orders"]] == [("A400", None)]


async def test_a_message_with_two_orders_of_one_number_is_one_event(console: Served) -> None:
    ids = await console.store.write(whole_journey)

    def second(connection: Connection) -> None:
        order, _ = add_order(connection, study_uid="1.2.77")
        message_ties.tie(connection, ids["message"], {order: "updated"})

    await console.store.write(second)
    events = await told(console)
    assert [text for _, station, text in events if station == "order_intake"] == [
        "ORM^O01 C1 received from ris, AA (created, updated)"
    ]


async def test_every_state_of_a_delivery_is_told(console: Served) -> None:
    why = {"error": "HTTP 422: Patient/1\nis unknown", "place": "http://ehr"}

    def fill(connection: Connection) -> None:
        add_order(connection)
        add_instance(connection, 1, at=NINE)
        add_delivery(connection, at=NINE + SECOND, kind="ehr:parked", fate=Fate.PARK, outcome=why)
        add_delivery(connection, at=NINE + SECOND, kind="ehr:refused", fate=Fate.REJECT, outcome=why)
        add_delivery(connection, at=NINE + SECOND, kind="ehr:slow", fate=Fate.RETRY, outcome=why)
        for kind in ("ehr:busy", "ehr:waits", "settle"):
            outbox.enqueue(
                connection,
                lane=Lane(WorkKind.of(kind), StudyInstanceUID(STUDY)),
                payload={},
                due_at=NINE + 9 * SECOND,
                now=NINE,
            )
        outbox_claims.claim(connection, kind=delivery_to("busy"), now=NINE + 9 * SECOND, lease_micros=SECOND, limit=1)

    await console.store.write(fill)
    events = {text: (at, station) for at, station, text in await told(console)}
    reason = "http://ehr: HTTP 422: Patient/1 is unknown"
    assert (
        events.items()
        >= {
            f"delivery to parked parked: {reason}": ("09:00:02", "ehr_delivery"),
            f"delivery to refused rejected: {reason}": ("09:00:02", "ehr_delivery"),
            f"try 1 at slow failed: {reason}; next try at 2026-01-05T09:01:01Z": ("09:00:02", "ehr_delivery"),
            "delivery to busy is under way, try 1": ("09:00:09", "ehr_delivery"),
            "delivery to waits is due at 2026-01-05T09:00:09Z": ("09:00:09", "ehr_delivery"),
            "waits until 2026-01-05T09:00:09Z for more of the study; settles then if none came": (
                "09:00:09",
                "study_settling",
            ),
        }.items()
    )


async def test_a_later_version_takes_the_place_of_one_not_sent(console: Served) -> None:
    def fill(connection: Connection) -> None:
        add_order(connection)
        add_instance(connection, 1, at=NINE)
        for second in (1, 2):
            outbox.enqueue(
                connection, lane=Lane(delivery_to("main"), StudyInstanceUID(STUDY)), payload={},
                due_at=NINE + second * SECOND, now=NINE + second * SECOND, supersede=True,
            )  # fmt: skip

    await console.store.write(fill)
    texts = [text for _, station, text in await told(console) if station == "ehr_delivery"]
    assert sorted(texts) == [
        "a later version took the place of this delivery to main",
        "delivery to main is due at 2026-01-05T09:00:02Z",
    ]


async def test_a_changed_step_is_told_when_it_changed(console: Served) -> None:
    def fill(connection: Connection) -> None:
        row, _ = add_order(connection)
        order = order_book.get(connection, row)
        [procedure] = order.procedures
        canceled = replace(procedure, steps=tuple(replace(one, state=StepState.CANCELED) for one in procedure.steps))
        order_book.save(connection, order, replace(order, procedures=(canceled,)), now=NINE + 60 * SECOND)

    await console.store.write(fill)
    assert await told(console) == [("09:01:00", "scheduling", "step now canceled: CT 2026-01-05 10:30 at CT1")]


async def test_findings_of_a_message_are_told(console: Served) -> None:
    def fill(connection: Connection) -> None:
        findings = [
            {"place": "", "text": "worked on again at 2026-01-05 09:30:00Z; answered AE when it came"},
            {"place": "MSH-10", "text": "another message came under this control id"},
        ]
        message = add_message(connection, findings=findings)
        order, _ = add_order(connection)
        message_ties.tie(connection, message, {order: "created"})

    await console.store.write(fill)
    texts = [text for _, station, text in await told(console) if station == "order_intake"]
    assert texts == [
        "ORM^O01 C1 received from ris, AA (created); worked on again at 2026-01-05 09:30:00Z; answered AE when it came"
        "; MSH-10: another message came under this control id"
    ]


async def test_every_try_is_an_event_at_its_own_time(console: Served) -> None:
    """Also those before a success, each with its cause."""

    def fill(connection: Connection) -> None:
        add_order(connection)
        kind = delivery_to("main")
        lane = Lane(kind, StudyInstanceUID(STUDY))
        outbox.enqueue(connection, lane=lane, payload={}, due_at=NINE, now=NINE)
        for minute in range(3):
            at = NINE + minute * 60 * SECOND
            [work] = outbox_claims.claim(connection, kind=kind, now=at, lease_micros=SECOND, limit=1)
            why = {"error": f"HTTP 50{minute}", "place": "http://ehr"}
            if minute < 2:
                outbox_claims.fail(connection, work, Fate.RETRY, now=at + SECOND, due_at=at + 9 * SECOND, outcome=why)
            else:
                outbox_claims.succeed(connection, work, now=at + SECOND, outcome={"id": "is-1", "version": "1"})

    await console.store.write(fill)
    assert [event for event in await told(console) if event[1] == "ehr_delivery"] == [
        ("09:00:01", "ehr_delivery", "try 1 at main failed: http://ehr: HTTP 500"),
        ("09:01:01", "ehr_delivery", "try 2 at main failed: http://ehr: HTTP 501"),
        ("09:02:01", "ehr_delivery", "delivered to main as ImagingStudy/is-1 version 1 on try 3"),
    ]


async def test_the_last_tries_are_kept(console: Served) -> None:
    def fill(connection: Connection) -> WorkRow:
        kind = delivery_to("main")
        row = outbox.enqueue(connection, lane=Lane(kind, StudyInstanceUID(STUDY)), payload={}, due_at=NINE, now=NINE)
        for attempt in range(work_tries.KEPT + 3):
            at = NINE + attempt * SECOND
            [work] = outbox_claims.claim(connection, kind=kind, now=at, lease_micros=SECOND, limit=1)
            outbox_claims.fail(connection, work, Fate.RETRY, now=at, due_at=at, outcome={"error": "x" * 9_999})
        return row

    row = await console.store.write(fill)
    tries = (await console.store.read(lambda c: work_tries.of(c, [row])))[row]
    assert [one["attempt"] for one in tries] == list(range(4, work_tries.KEPT + 4))
    assert len(tries[0]["outcome"]["error"]) == work_tries.LONGEST


@pytest.mark.parametrize("number", ["A100", "PA100", STUDY, f"{STUDY}.1", f"{STUDY}.9.2", "4711"])
async def test_a_journey_is_read_by_any_number(console: Served, number: str) -> None:
    ids = await console.store.write(whole_journey)
    found = await journey(console.store, number)
    assert found is not None
    assert [order["id"] for order in found["orders"]] == [ids["order"]]
    assert [study["study_uid"] for study in found["studies"]] == [STUDY]
    assert list(lines(found))[:3] == [
        f"order {ids['order']}: accession A100, placer PA100", "    patient 4711 (HOSP): Muster^Erika",
        f"    study {STUDY}",
    ]  # fmt: skip


async def test_a_message_that_was_not_applied_belongs_to_the_journey_of_its_numbers(console: Served) -> None:
    wrong = [{"place": "PID-3", "text": "no identifier"}]

    def fill(connection: Connection) -> None:
        add_order(connection)
        row = add_message(connection, state="rejected", findings=wrong)
        numbers = [MessageNumber(NumberKind.NUMBER, "A100"), MessageNumber(NumberKind.NUMBER, "A900")]
        message_numbers.keep(connection, row, numbers)

    await console.store.write(fill)
    text = "ORM^O01 C1 received from ris, AE (not applied); PID-3: no identifier"
    assert ("09:00:00", "order_intake", text) in await told(console)
    alone = await journey(console.store, "A900")
    assert alone is not None
    assert ([event["text"] for event in alone["events"]], alone["orders"]) == ([text], [])


async def test_of_very_many_messages_the_newest_are_listed(console: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey_of, "MOST_OF_ORDER", 2)

    def fill(connection: Connection) -> None:
        order, _ = add_order(connection)
        for minute in range(3):
            message_ties.tie(connection, add_message(connection, at=NINE + minute * 60 * SECOND), {order: "updated"})

    await console.store.write(fill)
    found = await journey(console.store, "A100")
    assert found is not None
    assert ([one["id"] for one in found["messages"]], found["messages_cut"]) == ([2, 3], True)
    assert CUT in list(lines(found))
    for page in ("/orders/1", f"/studies/{STUDY}"):
        assert CUT[1:] in (await shown(console, page)).html
    monkeypatch.setattr(journey_of, "MOST_OF_ORDER", 3)
    found = await journey(console.store, "A100")
    assert found is not None
    assert (len(found["messages"]), found["messages_cut"]) == (3, False)
