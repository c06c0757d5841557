"""The page of one message: names of fields, rows, acknowledgement, preview, and what cannot be read."""

from __future__ import annotations

from functools import partial

from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import replay_message
from gateway.config.tree import Config
from gateway.records.row_ids import MessageRow
from gateway.store import messages
from tests.journey.messages import orm
from tests.web.console.reader import shown
from tests.web.console.test_messages import press
from tests.web.served import Served, add_message

MISSING = {"place": "PID-3", "text": "PatientID has no value"}
STRUCTURE = {"place": "PV1", "text": "structure: Missing required child"}


async def test_fields_have_names_and_what_rows_take_of_them(console: Served) -> None:
    body = orm().replace(b"\rORC|", b"\rZPI|odd\rORC|", 1)
    await console.store.write(partial(add_message, body=body))
    page = await shown(console, "/messages/1")
    for words in (
        "Patient identifier list", "→ AccessionNumber = ACC1", "no row reads it", "MSA-1", "Acknowledgment code",
        "rows without a value", "fields that no row reads", "order_to_worklist.yaml:",
    ):  # fmt: skip
        assert words in page.html, words
    assert not page.inline


async def test_a_message_is_shown_in_its_own_character_set(console: Served) -> None:
    body = orm().replace(b"REFERRER", "Müller".encode("latin-1"), 1).replace(b"UNICODE UTF-8", b"8859/1", 1)
    await console.store.write(partial(add_message, body=body))
    page = await shown(console, "/messages/1")
    assert "Müller" in page.html


async def test_findings_of_the_structure_are_folded(console: Served) -> None:
    await console.store.write(partial(add_message, state="rejected", findings=[MISSING, STRUCTURE]))
    page = await shown(console, "/messages/1")
    folded = page.html.index("<details><summary>Departures")
    assert page.html.index("PatientID has no value") < folded < page.html.index("Missing required child")
    assert "/api/messages/1/put-away" in page.forms


async def test_orders_and_patients_of_a_message_are_linked(console: Served) -> None:
    await console.store.write(partial(add_message, body=orm(), state="rejected", findings=[MISSING]))
    page = await shown(console, "/messages/1?preview=true")
    assert "<ins>AA</ins>" in page.html
    assert "new" in page.html
    assert await console.store.read(lambda c: messages.patients_of(c, MessageRow(1))) == set(), "only tried"
    config = Config()
    await replay_message(config, console.store, load_mappings(config), lambda: console.now, MessageRow(1))
    page = await shown(console, "/messages/1")
    assert {"/orders/1", "/patients/1"} <= set(page.links)
    page = await shown(console, "/messages/1?preview=true")
    assert "Nothing would change." in page.html
    assert await press(console, "/api/messages/1/replay", back="/messages/1") == (
        "/messages/1?notice=message_replayed&n=1"
    )


async def test_what_cannot_be_read_has_a_page_too(console: Served) -> None:
    await console.store.write(partial(add_message, body=b"GET / HTTP/1.0\r", state="rejected", findings=[MISSING]))
    page = await shown(console, "/messages/1")
    assert "It cannot be read as HL7." in page.html
    await shown(console, "/messages/77", status=404)


async def test_a_long_message_is_cut_and_says_of_how_much(console: Served) -> None:
    body = orm().rstrip(b"\r") + b"\r" + b"".join(b"OBX|%d|TX|X||%s\r" % (n, b"y" * 3000) for n in range(400))
    await console.store.write(partial(add_message, body=body))
    page = await shown(console, "/messages/1")
    assert "… 1000 more characters" in page.html
    assert "more segments" in page.html
    assert len(page.html) < 1_500_000
