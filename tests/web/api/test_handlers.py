from __future__ import annotations

import asyncio
import logging
import re
from functools import partial

import pytest
from sqlalchemy import Connection, text
from yarl import URL

from gateway.errors import Fate
from gateway.observe import metrics
from gateway.observe.logs import described
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, delivery_to
from gateway.store import outbox, outbox_claims, outbox_listing
from tests.web.served import (
    NINE,
    SECOND,
    STRAY,
    STUDY,
    Served,
    add_delivery,
    add_instance,
    add_message,
    add_order,
    add_refusal,
    whole_journey,
)


async def test_orders_are_found_by_accession_and_by_patient(console: Served) -> None:
    await console.store.write(lambda c: add_order(c))
    await console.store.write(lambda c: add_order(c, accession="A200", patient_id="4712", study_uid="1.2.2"))
    for query, wanted in (
        ("?accession=A100", ["A100"]),
        ("?patient=4712", ["A200"]),
        ("?accession=nobody", []),
        ("", ["A200", "A100"]),
        ("?limit=1", ["A200"]),
    ):
        status, body = await console.get(f"/api/orders{query}")
        assert (status, [order["accession"] for order in body["orders"]]) == (200, wanted), query
    order = (await console.get("/api/orders?accession=A100"))[1]["orders"][0]
    assert order["patient"]["patient_id"] == "4711"
    assert order["created_at"] == "2026-01-05T09:00:00.000000Z"
    step = order["procedures"][0]["steps"][0]
    assert (step["step_id"], step["state"], step["station_aes"]) == ("SPS1", "SCHEDULED", ["CT1"])


async def test_the_worklist_holds_what_a_scanner_would_be_offered(console: Served) -> None:
    for accession, station, state in (
        ("CT1-ONLY", "CT1", "SCHEDULED"),
        ("BOTH", "CT2\\CT1", "STARTED"),
        ("CT10", "CT10", "SCHEDULED"),
        ("ANY", "", "ARRIVED"),
        ("GONE", "CT1", "CANCELED"),
        ("HELD", "CT1", "HELD"),
        ("DONE", "CT1", "COMPLETED"),
    ):
        await console.store.write(
            lambda c, a=accession, s=station, t=state: add_order(  # type: ignore[misc]
                c, accession=a, study_uid=f"1.2.{len(a)}.{a.encode().hex()}", station_ae=s, state=t
            )
        )
    for query, wanted in (
        ("", {"CT1-ONLY", "BOTH", "CT10", "ANY"}),
        ("?station=CT1", {"CT1-ONLY", "BOTH", "ANY"}),
        ("?station=CT2", {"BOTH", "ANY"}),
        ("?station=ct1", {"ANY"}),
        ("?date=2026-01-05&modality=CT", {"CT1-ONLY", "BOTH", "CT10", "ANY"}),
        ("?date=20260106", set()),
        ("?modality=MR", set()),
    ):
        status, body = await console.get(f"/api/worklist{query}")
        assert (status, {item["accession"] for item in body["items"]}) == (200, wanted), query


async def test_a_message_is_shown_with_its_segments(console: Served) -> None:
    wrong = [{"place": "PID-3", "text": "missing"}]
    first = await console.store.write(lambda c: add_message(c))
    second = await console.store.write(
        lambda c: add_message(c, state="rejected", body=b"MSH|^~\\&|\xfc\nPID|1\n", findings=wrong)
    )
    status, body = await console.get(f"/api/messages/{first}")
    assert status == 200
    assert [segment[:3] for segment in body["body"]["segments"]] == ["MSH", "PID", "ORC", "OBR"]
    assert body["ack"]["segments"][1] == "MSA|AA|C1"
    _, body = await console.get(f"/api/messages/{second}")
    assert body["body"] == {"encoding": "latin-1", "segments": ["MSH|^~\\&|ü", "PID|1"]}
    assert body["findings"] == wrong
    _, body = await console.get("/api/messages?state=rejected")
    assert [message["id"] for message in body["messages"]] == [second]
    _, body = await console.get("/api/messages/77")
    assert body == {"error": {"message": "there is no message 77", "place": "id"}}


async def test_lists_are_paged_by_id(console: Served) -> None:
    ids = [await console.store.write(lambda c: add_message(c)) for _ in range(5)]
    seen, before = [], ""
    while True:
        _, body = await console.get(f"/api/messages?limit=2{before}")
        seen += [message["id"] for message in body["messages"]]
        if body["next_before"] is None:
            break
        before = f"&before={body['next_before']}"
    assert seen == ids[::-1]


async def test_a_message_is_worked_on_again(console: Served) -> None:
    message = await console.store.write(lambda c: add_message(c))
    assert await console.post(f"/api/messages/{message}/replay") == (200, {"id": message, "ack_code": "AA"})
    assert console.replayed == [message]
    status, body = await console.post("/api/messages/77/replay")
    assert (status, body["error"]["place"]) == (404, "message 77")


async def test_a_parked_delivery_is_tried_again_once(console: Served) -> None:
    outcome = {"error": "HTTP 422: no such patient", "place": "http://ehr/fhir"}
    row = await console.store.write(lambda c: add_delivery(c, at=NINE, fate=Fate.PARK, outcome=outcome))
    _, body = await console.get("/api/deliveries?state=parked")
    assert [(one["id"], one["study_uid"], one["outcome"]) for one in body["deliveries"]] == [(row, STUDY, outcome)]
    assert await console.post(f"/api/deliveries/{row}/retry") == (200, {"id": row, "state": "pending"})
    (after,) = await console.store.read(outbox_listing.listing)
    assert (after["state"], after["due_at"]) == ("pending", console.now)
    assert (await console.get("/api/deliveries?state=parked"))[1]["deliveries"] == []


async def test_what_is_stuck_for_one_cause_is_tried_again_at_once(console: Served) -> None:
    """Three studies are refused for one reason and one for another; of the three, one has been overtaken since."""
    rows = []
    errors = ["HTTP 422: no patient 17", "HTTP 422: no patient 18", "HTTP 401", "HTTP 422: no patient 9"]
    for number, error in enumerate(errors):
        rows.append(await console.store.write(partial(
            add_delivery, at=NINE + number, study_uid=f"1.2.{number}", fate=Fate.PARK, outcome={"error": error}
        )))  # fmt: skip
    await console.store.write(partial(_overtake, study_uid="1.2.1"))
    _, body = await console.get("/api/causes")
    assert [(one["count"], one["text"], one["example"]) for one in body["causes"]] == [
        (3, "HTTP 422: no patient N", rows[3]), (1, "HTTP 401", rows[2]),
    ]  # fmt: skip
    key = body["causes"][0]["key"]
    status, told = await console.post(f"/api/causes/{key}/retry")
    assert (status, told) == (200, {"key": key, "retried": [rows[0], rows[3]], "left": 1})
    _, body = await console.get("/api/causes")
    assert [one["count"] for one in body["causes"]] == [1, 1]


def _overtake(connection: Connection, study_uid: str) -> None:
    """Later work of the same study is under way."""
    now = NINE + 100
    kind = delivery_to("main")
    outbox.enqueue(connection, lane=Lane(kind, StudyInstanceUID(study_uid)), payload={}, due_at=now, now=now)
    outbox_claims.claim(connection, kind=kind, now=now, lease_micros=10**12, limit=1)


async def test_a_delivery_that_is_done_is_not_sent_again(console: Served) -> None:
    row = await console.store.write(lambda c: add_delivery(c, at=NINE))
    status, body = await console.post(f"/api/deliveries/{row}/retry")
    assert (status, body["error"]["place"]) == (409, f"delivery {row}")
    assert "done" in body["error"]["message"]


async def test_a_study_is_shown_with_its_tree_and_orders(console: Served) -> None:
    ids = await console.store.write(whole_journey)
    status, body = await console.get(f"/api/studies/{STUDY}")
    assert (status, body["series_count"], body["instance_count"]) == (200, 2, 3)
    assert sorted(len(one["instances"]) for one in body["series"]) == [1, 2]
    assert [one["id"] for one in body["orders"]] == [ids["order"]]
    assert [one["id"] for one in body["deliveries"]] == [ids["delivery"]]
    assert body["settled_revision"] == body["revision"] == 3


async def test_refusals_are_listed(console: Served) -> None:
    row = await console.store.write(add_refusal)
    _, body = await console.get("/api/refusals")
    (refusal,) = body["refusals"]
    assert (refusal["id"], refusal["reason"], refusal["bytes"]) == (row, "too large", 4)
    assert refusal["refused_at"] == "2026-01-05T09:00:00.000000Z"


async def test_a_wrong_parameter_is_named(console: Served) -> None:
    for address, place, words in (
        ("/api/orders?accesion=A1", "accesion", "known here: accession, patient, limit"),
        ("/api/orders?limit=0", "limit", "greater than or equal to 1"),
        ("/api/orders?limit=1&limit=2", "limit", "once"),
        ("/api/orders?accession=%00", "accession", "match"),
        ("/api/worklist?date=tomorrow", "date", "match"),
        ("/api/worklist?date=20260230", "date", "day"),
        ("/api/worklist?date=2026-13-01", "date", "month"),
        ("/api/messages?state=lost", "state", "'applied', 'stale', 'stored', 'rejected' or 'failed'"),
        ("/api/messages?state=received", "state", "'applied', 'stale', 'stored', 'rejected' or 'failed'"),
        ("/api/messages?before=99999999999999999999", "before", "less than"),
        ("/api/messages/one", "id", "integer"),
        ("/api/messages/1?id=2", "id", "once"),
        (
            "/api/deliveries?state=gone",
            "state",
            "'pending', 'leased', 'done', 'parked', 'rejected', 'superseded' or 'given-up'",
        ),
        ("/api/journey/A1?x=1", "x", "no such parameter"),
        ("/api/refusals?limit=x&state=y", "limit, state", "state: no such parameter"),
        ("/health/live?x=1", "x", "known here: none"),
    ):
        status, body = await console.get(address)
        assert (status, body["error"]["place"]) == (400, place), address
        assert words in body["error"]["message"], address


async def test_odd_text_is_no_fault_of_ours(console: Served) -> None:
    for raw in ("%FF", "%ED%A0%80", "%C3%BC", "a%0Db", "%2E%2E", "x" * 256):
        address = URL(f"{console.base}/api/orders?accession={raw}", encoded=True)
        async with console.session.get(address) as response:
            assert (response.status, await response.json()) == (200, {"orders": []}), raw
        async with console.session.get(URL(f"{console.base}/api/studies/{raw}", encoded=True)) as response:
            assert response.status == 404, raw


async def test_an_accession_may_hold_a_slash(console: Served) -> None:
    await console.store.write(lambda c: add_order(c, accession="2026/17"))
    async with console.session.get(URL(f"{console.base}/api/journey/2026%2F17", encoded=True)) as response:
        assert (await response.json())["accession"] == "2026/17"


async def test_unknown_paths_and_methods_answer_in_json(console: Served) -> None:
    status, body = await console.get("/api/nothing")
    assert (status, "/api/openapi.json" in body["error"]["message"]) == (404, True)
    async with console.session.post(f"{console.base}/api/orders") as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD"}
        assert "error" in await response.json()


async def test_metrics_are_prometheus_text_without_patients(console: Served) -> None:
    await console.store.write(whole_journey)
    await console.store.write(lambda c: add_delivery(c, at=NINE, kind="ehr:other", fate=Fate.PARK))
    async with console.session.get(f"{console.base}/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        told = await response.text()
    assert 'gateway_outbox_rows{kind="ehr:other",state="parked"} 1.0' in told
    assert "gateway_database_up 1.0" in told
    # Numbers that are counted or measured have any digits.
    named = re.sub(r" \S+$", "", told, flags=re.MULTILINE)
    assert "gateway_database_up\n" in named
    for secret in ("Muster", "4711", "A100", STUDY):
        assert secret not in named


async def test_what_the_stations_count_is_shown(console: Served) -> None:
    metrics.MESSAGES.labels("ris", "AA").inc()
    metrics.FINDS.labels("A700").inc()
    metrics.FIND_SECONDS.observe(0.002)
    metrics.STORES.labels("C000").inc()
    metrics.WORK.labels("ehr:main", "park").inc()
    async with console.session.get(f"{console.base}/metrics") as response:
        told = await response.text()
    for line in (
        r'gateway_hl7_messages_total\{ack="AA",listener="ris"\} [1-9]',
        r'gateway_worklist_queries_total\{status="A700"\} [1-9]',
        r'gateway_worklist_query_seconds_bucket\{le="0.0025"\} [1-9]',
        r'gateway_stores_total\{status="C000"\} [1-9]',
        r'gateway_outbox_tries_total\{kind="ehr:main",outcome="park"\} [1-9]',
    ):
        assert re.search(line, told), line


async def test_a_fault_of_ours_is_logged_without_what_it_was_about(
    console: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await console.store.write(lambda c: add_order(c))
    await console.store.write(lambda c: c.execute(text("UPDATE orders SET attributes = 'Muster^Erika no JSON'")))
    with caplog.at_level(logging.DEBUG, logger="gateway"):
        status, body = await console.get("/api/journey/A100")
    assert (status, body["error"]["message"]) == (500, "internal error; the log says where")
    (record,) = [one for one in caplog.records if one.name == "gateway.web.failures"]
    # The handler of the gateway's log, if one is installed, has put the exception into the text already.
    error = record.exc_info[1] if record.exc_info else None
    said = record.getMessage() if error is None else f"{record.getMessage()}: {described(error)}"
    assert "GET /api/journey/{accession} failed: JSONDecodeError" in said
    assert "schema.py" in said
    assert "Muster" not in said
    assert "A100" not in said


async def test_many_readers_at_once(console: Served) -> None:
    await console.store.write(whole_journey)
    answers = await asyncio.gather(*(console.get("/api/journey/A100") for _ in range(40)))
    assert {status for status, _ in answers} == {200}
    assert all(body == answers[0][1] for _, body in answers)


async def test_a_study_of_another_patient_with_the_same_number_is_shown_as_not_linked(console: Served) -> None:
    await console.store.write(lambda c: add_order(c))
    await console.store.write(lambda c: add_instance(c, 1, at=NINE + SECOND, study_uid=STRAY, patient_id="9999"))
    _, body = await console.get("/api/journey/A100")
    assert [(one["study_uid"], one["tied_by"], one["linked"]) for one in body["studies"]] == [
        (STRAY, "accession", False)
    ]
    assert "no order here is linked" in body["events"][-1]["text"]
