from __future__ import annotations

from sqlalchemy import Connection

from gateway.journey.study_settling.targets import ResourcePreview
from gateway.records.delivery import Delivery
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import Check, CheckPolicy, Conflict, FoundConflict, OrderStanding
from gateway.records.row_ids import OrderRow
from gateway.records.work import Lane, delivery_to
from gateway.store import order_conflicts, outbox, outbox_claims
from tests.web.console.reader import shown
from tests.web.served import NINE, SECOND, STUDY, Served, add_images, add_instance, add_order, whole_journey

SENT = {"resourceType": "ImagingStudy", "status": "available", "description": "CT head"}


async def test_the_list_of_studies(console: Served) -> None:
    await console.store.write(whole_journey)
    page = await shown(console, "/studies?patient=4711&standing=delivered")
    for words in ("CT head", "1 of 1 shown", "main: done", "delivered"):
        assert words in page.html, words
    assert f"/studies/{STUDY}" in page.links
    assert "No study." in (await shown(console, "/studies?accession=nobody")).html
    assert not page.inline


async def test_a_study_with_its_parts(console: Served) -> None:
    ids = await console.store.write(whole_journey)
    page = await shown(console, f"/studies/{STUDY}")
    for words in (
        "3 instances in 2 series from ORTHANC", f'data-copy="{STUDY}"', f"{STUDY}.9.2", "No EHR is configured",
        "delivered to main as ImagingStudy/is-1", "StudyDate: started:",
    ):  # fmt: skip
        assert words in page.html, words
    assert {f"/orders/{ids['order']}", "/accessions/A100"} <= set(page.links)
    forms = {form.rpartition("/")[2] for form in page.forms}
    assert {"resend", "withdraw", "exclude"} <= forms
    assert not page.inline


async def test_a_study_at_archives(console: Served) -> None:
    await console.store.write(whole_journey)
    await console.store.write(add_images)
    page = await shown(console, f"/studies/{STUDY}")
    for words in ("At pacs", "1 of 2 instances sent", "1 failed", "1 instance sent to pacs, 1 parked"):
        assert words in page.html, words
    assert "/deliveries?receiver=pacs&state=parked#work" in page.links
    assert not page.inline


async def test_a_study_that_its_order_holds(console: Served) -> None:
    def hold(connection: Connection) -> None:
        add_order(connection)
        add_instance(connection, 1, at=NINE, patient_id="9999")
        found = FoundConflict(Conflict(Check.PATIENT_ID, OrderRow(1), "9999", "4711"), CheckPolicy.HOLD)
        order_conflicts.note(connection, StudyInstanceUID(STUDY), [found], OrderStanding.HELD, now=NINE)

    await console.store.write(hold)
    page = await shown(console, f"/studies/{STUDY}")
    assert "it is not linked with order 1: they differ" in page.html
    assert {form.rpartition("/")[2] for form in page.forms} >= {"release", "unlink", "link"}
    assert "no order" not in page.html
    assert not page.inline


async def test_the_resource_now_beside_as_it_was_sent(console: Served) -> None:
    await console.store.write(whole_journey)
    kind = delivery_to("main")

    def send(connection: Connection) -> None:
        payload = Delivery(SENT, "x", "").as_payload()
        outbox.enqueue(connection, lane=Lane(kind, StudyInstanceUID(STUDY)), payload=payload, due_at=NINE, now=NINE)
        [work] = outbox_claims.claim(connection, kind=kind, now=NINE, lease_micros=SECOND, limit=1)
        outbox_claims.succeed(connection, work, now=NINE, outcome={})

    await console.store.write(send)
    console.previews = [ResourcePreview("main", {**SENT, "description": "CT <head>"}), ResourcePreview("b", SENT)]
    page = await shown(console, f"/studies/{STUDY}")
    assert "<del>  &#34;description&#34;: &#34;CT head&#34;,</del>" in page.html
    assert "<ins>  &#34;description&#34;: &#34;CT &lt;head&gt;&#34;,</ins>" in page.html
    assert "Nothing was delivered to b yet." in page.html
    console.previews = [ResourcePreview("main", SENT), ResourcePreview("b", None, "two patients")]
    page = await shown(console, f"/studies/{STUDY}")
    assert "It would be sent as it was." in page.html
    assert "It cannot be made: two patients" in page.html


async def test_a_study_that_was_ordered_and_has_not_arrived(console: Served) -> None:
    await console.store.write(add_order)
    page = await shown(console, f"/studies/{STUDY}")
    assert "nothing yet" in page.html
    assert "/orders/1" in page.links
    await shown(console, "/studies/1.2.3", status=404)
