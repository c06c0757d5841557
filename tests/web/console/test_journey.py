from __future__ import annotations

from urllib.parse import quote

from sqlalchemy import Connection

from gateway.errors import Fate
from gateway.operations.why_not_shown import WhyNotShown
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.lookup import MessageNumber, NumberKind
from gateway.records.patient import Identity
from gateway.store import message_numbers, order_book, patients, studies
from tests.web.console.reader import shown
from tests.web.served import (
    A_REASON,
    NINE,
    STUDY,
    Served,
    add_delivery,
    add_instance,
    add_message,
    add_order,
    whole_journey,
)


async def test_the_lanes_of_an_order(console: Served) -> None:
    ids = await console.store.write(whole_journey)
    away = {"error": "HTTP 422", "place": "http://ehr"}
    parked = await console.store.write(lambda c: add_delivery(c, at=NINE, kind="ehr:b", fate=Fate.PARK, outcome=away))
    page = await shown(console, f"/orders/{ids['order']}")
    for words in (
        "<h1>Order A100</h1>", "Muster, Erika", "<h3>RIS</h3>", "<h3>EHR</h3>", "ORM^O01 C1 received from ris",
        "worklist answered CT1", "3 instances in 2 series", "delivered to main as ImagingStudy/is-1",
        "delivery to b parked: http://ehr: HTTP 422", f'data-copy="{STUDY}"', "2026-01-05 10:30 at CT1",
    ):  # fmt: skip
        assert words in page.html, words
    assert {"/patients/1", "/accessions/A100", f"/studies/{STUDY}", f"/messages/{ids['message']}"} <= set(page.links)
    study = f"/api/studies/{STUDY}"
    assert page.forms == [f"/api/deliveries/{parked}/retry", f"{study}/resend", f"{study}/withdraw"]
    assert not page.inline


async def test_why_a_scanner_does_not_show_it(console: Served) -> None:
    ids = await console.store.write(whole_journey)
    asked: list[tuple[str, str]] = []

    async def why(number: str, scanner: str) -> WhyNotShown | None:
        asked.append((number, scanner))
        return A_REASON

    console.ask_why = why
    page = await shown(console, f"/orders/{ids['order']}?scanner=CT1")
    assert asked == [(STUDY, "CT1")]
    for words in ("asked for MR", "not shown", "late", "<option selected>CT1</option>"):
        assert words in page.html, words
    assert "/worklist?scanner=CT1" in page.links


async def test_a_patient_with_a_former_identity(console: Served) -> None:
    def fill(connection: Connection) -> int:
        add_order(connection)
        add_order(connection, accession="A101", study_uid="1.2.9")
        add_instance(connection, 1, at=NINE, study_uid="1.2.3", accession="", patient_id="4711")
        survivor = patients.find(connection, Identity("4711", "HOSP"))
        assert survivor is not None
        patients.change(connection, survivor["id"], former=[["OLD", "HOSP"]])
        return patients.add(
            connection, Identity("OLD", "HOSP"), attributes={}, stamps={}, first_at=NINE, now=NINE,
            merged_into=survivor["id"],
        )  # fmt: skip

    former = await console.store.write(fill)
    page = await shown(console, f"/patients/{former}")
    for words in ("<h1>Patient 4711</h1>", "OLD", "A100", "A101", "1.2.3"):
        assert words in page.html, words
    assert {"/orders/1", "/orders/2", "/studies/1.2.3"} <= set(page.links)


async def test_an_accession_number_with_a_message_that_was_not_applied(console: Served) -> None:
    number = "A/9 ü"

    def fill(connection: Connection) -> int:
        row = add_message(connection, state="rejected", findings=[{"place": "PID-3", "text": "no identifier"}])
        message_numbers.keep(connection, row, [MessageNumber(NumberKind.NUMBER, number)])
        return row

    row = await console.store.write(fill)
    page = await shown(console, f"/accessions/{quote(number, safe='')}")
    assert "PID-3: no identifier" in page.html
    assert f"/messages/{row}" in page.links


async def test_what_is_not_here_is_a_page(console: Served) -> None:
    for path in ("/orders/7", "/patients/7", "/accessions/NONE", f"/orders/{2**63}"):
        page = await shown(console, path, status=400 if "9223" in path else 404)
        assert "<h1>" in page.html


async def test_a_tombstone_has_a_page(console: Served) -> None:
    """A cancel that came before its order: no patient, no procedure."""

    def fill(connection: Connection) -> int:
        row, _ = add_order(connection)
        order = order_book.get(connection, row)
        return order_book.save(connection, None, type(order)(
            order.authority, order.sender, order.filler, order.filler, "", {"AccessionNumber": "A9"}, NINE
        ), now=NINE)  # fmt: skip

    row = await console.store.write(fill)
    assert "nothing but a cancel has come" in (await shown(console, f"/orders/{row}")).html


async def test_a_study_is_withdrawn_with_a_reason_and_counts_again(console: Served) -> None:
    ids = await console.store.write(whole_journey)
    here = f"/orders/{ids['order']}"

    async def press(path: str, **fields: str) -> str:
        address = f"{console.base}/api/studies/{STUDY}/{path}"
        headers = {"Accept": "text/html"}
        async with console.session.post(address, data={"back": here, **fields}, headers=headers) as response:
            assert response.status == 200
            return await response.text()

    text = await press("withdraw", note="other patient's images")
    assert "Withdrawn: the EHRs are notified" in text
    assert "withdrawn by the console: other patient&#39;s images" in text
    row = await console.store.read(lambda c: studies.get(c, StudyInstanceUID(STUDY)))
    assert row is not None
    assert row["withdrawn_reason"] == "other patient's images"
    text = await press("withdraw/undo")
    assert "The study counts again." in text
    row = await console.store.read(lambda c: studies.get(c, StudyInstanceUID(STUDY)))
    assert row is not None
    assert (row["withdrawn_at"], row["withdrawn_by"], row["withdrawn_reason"]) == (None, "", "")
    assert AccessionNumber("A100") == row["accession"]
