"""Messages that were not applied: by cause, put away, taken back, listed; each by an index."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest
from sqlalchemy import Connection

from gateway.errors import Conflict, InvalidValue, RequiredEmpty, UnknownKey
from gateway.operations.put_away import open_causes, put_cause_away
from gateway.records.cause import cause_of_message, cause_of_refusal
from gateway.records.message import MessageState
from gateway.records.put_away import Kind, PutAway
from gateway.records.row_ids import MessageRow
from gateway.store import Store, message_listing, messages, put_away, refusals
from gateway.store.message_listing import Page, Wanted

SECOND = 1_000_000
BY = PutAway(9 * SECOND, "anna", "test messages of the vendor")
NO_PATIENT = {"place": "PID-3", "text": "required, but empty"}
UNKNOWN = {"place": "OBR-24 of ORC[2]", "text": "'XR4' is not in the table modality"}


def keep(
    connection: Connection, number: int, *faults: dict[str, str], listener: str = "ris", type: str = "ORM^O01"
) -> MessageRow:
    return messages.add(
        connection, received_at=number * SECOND, listener=listener, peer="127.0.0.1", sender="RIS|HOSP",
        control_id=str(number), type=type, digest=hashlib.sha256(str(number).encode()).digest(), body=b"MSH",
        state=MessageState.REJECTED if faults else MessageState.APPLIED, ack_code="AE" if faults else "AA", ack=b"",
        findings=list(faults), cause=cause_of_message(faults[0]).key if faults else "",
    )  # fmt: skip


def some(connection: Connection) -> None:
    """1 applied, 2 to 4 for two causes."""
    keep(connection, 1)
    keep(connection, 2, NO_PATIENT)
    keep(connection, 3, UNKNOWN | {"text": "'XR5' is not in the table modality"}, NO_PATIENT, listener="pacs")
    keep(connection, 4, UNKNOWN | {"place": "OBR-24 of ORC[7]"}, type="OMI^O23")


async def page(store: Store, wanted: Wanted, *, limit: int = 10, before: int | None = None) -> Page:
    return await store.read(partial(message_listing.page, wanted=wanted, limit=limit, before=before))


def ids(shown: Page) -> list[int]:
    return [row["id"] for row in shown.rows]


async def test_what_was_not_applied_is_counted_by_cause(store: Store) -> None:
    await store.write(some)
    for reason in ("too large", "cut off", "cut off"):
        await store.write(partial(refusals.add, refused_at=5, source="ris 10.0.0.9", reason=reason, body=b"x"))
    causes = await store.read(open_causes)
    assert (causes.messages, causes.is_whole, causes.more_causes, causes.refusals) == (3, True, 0, 3)
    unknown, cut_off = causes.causes[:2] if causes.causes[0].kind is Kind.MESSAGE else causes.causes[1::-1]
    assert (unknown.count, unknown.first_at, unknown.last_at, unknown.newest) == (2, 3 * SECOND, 4 * SECOND, 4)
    assert (unknown.text, unknown.type) == ("OBR-24 of ORC[n]: '…' is not in the table modality", "OMI^O23")
    assert (cut_off.kind, cut_off.count, cut_off.text) == (Kind.REFUSAL, 2, "ris 10.0.0.9: cut off")


async def test_what_was_put_away_calls_for_nobody_and_can_be_found(store: Store) -> None:
    await store.write(some)
    assert await store.write(partial(put_away.put_away, kind=Kind.MESSAGE, ids=[2], by=BY)) == 1
    assert [row["id"] for row in await store.read(messages.wrong)] == [4, 3]
    assert await store.read(messages.count_wrong) == 2
    [row] = (await page(store, Wanted(put_away=True))).rows
    assert (row["id"], row["put_away_at"], row["put_away_by"], row["put_away_note"]) == (2, BY.at, "anna", BY.note)
    assert ids(await page(store, Wanted(put_away=False))) == [4, 3]
    await store.write(partial(put_away.take_back, kind=Kind.MESSAGE, ids=[2]))
    assert ids(await page(store, Wanted(put_away=False))) == [4, 3, 2]


async def test_a_context_that_a_scanner_was_refused_calls_for_nobody(store: Store) -> None:
    def refuse(connection: Connection) -> None:
        refusals.add(
            connection, refused_at=SECOND, source="CT1 10.0.0.7", reason="context refused: a query model", body=b"",
            calling_ae="CT1",
        )  # fmt: skip
        refusals.add(connection, refused_at=SECOND, source="ris 127.0.0.1", reason="too large", body=b"MSH|")

    await store.write(refuse)
    assert [row["source"] for row in await store.read(put_away.open_refusals)] == ["ris 127.0.0.1"]
    shown = await store.read(lambda connection: refusals.listing(connection, put_away=False))
    assert [row["source"] for row in shown] == ["ris 127.0.0.1"]
    assert await store.read(lambda connection: refusals.listing(connection, put_away=True)) == []
    assert len(await store.read(lambda connection: refusals.of_scanner(connection, "CT1", limit=5))) == 1


async def test_a_cause_is_put_away_as_a_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.write(some)
    monkeypatch.setattr("gateway.store.put_away.PAGE", 1)
    assert await put_cause_away(store, cause_of_message(UNKNOWN).key, BY) == 2
    assert [one.newest for one in (await store.read(open_causes)).causes] == [2]
    with pytest.raises(UnknownKey, match="nothing calls for a person for this cause"):
        await put_cause_away(store, cause_of_message(UNKNOWN).key, BY)
    for number in range(3):
        source = f"ris 10.0.0.{number % 2}"
        await store.write(partial(refusals.add, refused_at=5, source=source, reason="cut off", body=b"x"))
    assert await put_cause_away(store, cause_of_refusal("ris 10.0.0.0", "cut off").key, BY) == 2
    rows = await store.read(partial(refusals.listing, put_away=False))
    assert [row["source"] for row in rows] == ["ris 10.0.0.1"]


async def test_what_cannot_be_put_away(store: Store) -> None:
    await store.write(some)
    with pytest.raises(UnknownKey, match="there is no message 77"):
        await store.write(partial(put_away.put_away, kind=Kind.MESSAGE, ids=[2, 77], by=BY))
    with pytest.raises(Conflict, match="it calls for nobody"):
        await store.write(partial(put_away.put_away, kind=Kind.MESSAGE, ids=[1], by=BY))
    with pytest.raises(RequiredEmpty, match="say why"):
        PutAway(1, "anna", " ")
    for note in ("x" * 257, "a\0b"):
        with pytest.raises(InvalidValue):
            PutAway(1, "anna", note)


@pytest.mark.parametrize("fault", [NO_PATIENT, UNKNOWN, None])
async def test_put_away_stays_what_fails_of_the_same_cause_again(store: Store, fault: dict[str, str] | None) -> None:
    """A sender that repeats its message for ever would otherwise call for somebody for ever."""
    row = await store.write(partial(keep, number=2))
    row = await store.write(lambda connection: keep(connection, 2, NO_PATIENT))
    await store.write(partial(put_away.put_away, kind=Kind.MESSAGE, ids=[row], by=BY))
    settled = partial(
        messages.settle, message=row, state=MessageState.REJECTED if fault else MessageState.APPLIED, ack_code="AE",
        ack=b"", findings=[fault] if fault else [], cause=cause_of_message(fault).key if fault else "",
    )  # fmt: skip
    await store.write(settled)
    assert await store.read(messages.count_wrong) == (fault is UNKNOWN)


async def test_filters_and_pages(store: Store) -> None:
    await store.write(some)
    assert ids(await page(store, Wanted())) == [4, 3, 2, 1]
    assert ids(await page(store, Wanted(listener="pacs"))) == [3]
    assert ids(await page(store, Wanted(type="OMI"))) == ids(await page(store, Wanted(type="OMI^O23"))) == [4]
    assert ids(await page(store, Wanted(cause=cause_of_message(UNKNOWN).key))) == [4, 3]
    assert ids(await page(store, Wanted(state=MessageState.APPLIED))) == [1]
    assert ids(await page(store, Wanted(first_at=2 * SECOND, last_at=4 * SECOND))) == [3, 2]
    assert ids(await page(store, Wanted(first_at=5 * SECOND))) == []
    first = await page(store, Wanted(), limit=3)
    assert (ids(first), first.next_before, first.count, first.is_whole) == ([4, 3, 2], 2, None, False)
    last = await page(store, Wanted(), limit=3, before=first.next_before)
    assert (ids(last), last.next_before, last.count, last.is_whole) == ([1], None, 1, True)
    counted = await page(store, Wanted(put_away=False), limit=2)
    assert (ids(counted), counted.next_before, counted.count, counted.is_whole) == ([4, 3], 3, 3, True)


async def test_a_page_of_all_messages_looks_at_no_more_than_it_shows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write(some)
    monkeypatch.setattr(message_listing, "LOOKED_AT", 0)
    assert ids(await page(store, Wanted(), limit=2)) == [4, 3]
    assert ids(await page(store, Wanted(), limit=2, before=3)) == [2, 1]


async def test_a_page_looks_at_a_bounded_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.write(some)
    monkeypatch.setattr(message_listing, "LOOKED_AT", 2)
    first = await page(store, Wanted(listener="ris"))
    assert (ids(first), first.count, first.is_whole, first.next_before) == ([4], 1, False, 3)
    last = await page(store, Wanted(listener="ris"), before=3)
    assert (ids(last), last.is_whole, last.next_before) == ([2, 1], True, None)
    causes = await store.read(open_causes)
    assert (causes.messages, causes.is_whole) == (2, False)


@pytest.mark.parametrize("listener", ["", "ris"])
async def test_a_search_for_what_was_applied_ends_where_nothing_was(
    store: Store, monkeypatch: pytest.MonkeyPatch, listener: str
) -> None:
    """No index has the messages that were applied."""
    await store.write(some)
    monkeypatch.setattr(message_listing, "LOOKED_AT", 2)
    wanted = Wanted(state=MessageState.APPLIED, listener=listener)
    first = await page(store, wanted)
    assert (ids(first), first.count, first.is_whole, first.next_before) == ([], 0, False, 3)
    assert ids(await page(store, wanted, before=3)) == [1]


async def test_conditions_of_two_indexes_look_at_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that was applied and of all that is open nothing is both: a search for it must end as well."""
    await store.write(some)
    monkeypatch.setattr(message_listing, "LOOKED_AT", 2)
    nothing = await page(store, Wanted(state=MessageState.APPLIED, put_away=False))
    assert (ids(nothing), nothing.count, nothing.is_whole, nothing.next_before) == ([], 0, False, 3)
    key = cause_of_message(UNKNOWN).key
    await store.write(partial(put_away.put_away, kind=Kind.MESSAGE, ids=[4], by=BY))
    assert ids(await page(store, Wanted(cause=key, put_away=False))) == [3]
    assert ids(await page(store, Wanted(cause=key, put_away=True, state=MessageState.REJECTED))) == [4]
    assert ids(await page(store, Wanted(cause=key, state=MessageState.APPLIED))) == []
