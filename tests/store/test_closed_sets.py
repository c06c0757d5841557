"""Sets of any size are claimed, read for and closed alike, row by row."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gateway.journey.ehr_delivery.station import entries_of
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Work
from gateway.store import Store, ehr_resources, outbox_claims
from gateway.store.ehr_resources import Entry, ResourceKey
from gateway.store.outbox_claims import Done
from tests.store.work import KIND, LEASE, SECOND, adding, row

NOW = 1_900_000_000_000_000
SIZES = (1, 2, 17, 70)
"""The last is more than goes into one statement."""


async def claimed(store: Store, size: int, limit: int | None = None) -> list[Work]:
    for number in range(size):
        await store.write(adding(f"1.{size}.{number}", due_at=NOW, now=NOW, number=number))
    claim = partial(outbox_claims.claim, kind=KIND, now=NOW, lease_micros=LEASE, limit=limit or size)
    return await store.write(claim)


@pytest.mark.parametrize("size", SIZES)
async def test_each_of_a_set_keeps_its_own_outcome(store: Store, size: int) -> None:
    works = await claimed(store, size)
    assert [work.payload for work in works] == [{"number": number} for number in range(size)]
    outcomes = [{"number": number, "text": "Grüße 'n' \\ \"x\""} for number in range(size)]
    closed = [
        (work, Done(outcome, until=NOW + SECOND if number % 3 == 2 else None))
        for number, (work, outcome) in enumerate(zip(works, outcomes, strict=True))
    ]
    assert await store.write(partial(outbox_claims.close_all, closed=closed, now=NOW + 1))
    for number, work in enumerate(works):
        after = await row(store, work.id)
        if number % 3 == 2:
            assert (after["state"], after["due_at"], after["attempts"]) == ("pending", NOW + SECOND, 0)
        else:
            assert (after["state"], after["finished_at"], after["outcome"]) == ("done", NOW + 1, outcomes[number])


async def test_a_set_of_which_a_lease_was_lost_is_not_closed(store: Store) -> None:
    works = await claimed(store, 3)
    await store.write(partial(outbox_claims.release, works=works[1:2]))
    ends = await store.read(partial(outbox_claims.lease_ends, leases=[(work.id, work.lease) for work in works]))
    assert list(ends) == [(work.id, work.lease) for work in works[::2]]
    closed = [(work, Done()) for work in works]
    assert not await store.write(partial(outbox_claims.close_all, closed=closed, now=NOW))


async def test_what_is_due_at_one_time_is_claimed_in_the_order_of_its_rows(store: Store) -> None:
    works = await claimed(store, 17, limit=5)
    assert [work.payload["number"] for work in works] == [0, 1, 2, 3, 4]


async def test_a_delivery_that_cannot_be_read_costs_the_others_of_its_claim_nothing(store: Store) -> None:
    study = {"resourceType": "ImagingStudy"}
    key = ResourceKey("test", "ImagingStudy", "urn:dicom:uid|urn:oid:1.1")
    entry = Entry("7", "1", b"digest")
    await store.write(partial(ehr_resources.remember, noted=[(key, entry)], now=NOW))
    payloads: list[dict[str, Any]] = [
        {"resource": study}, {"other": 1}, {"resource": study, "identifier": "urn:x|\0"},
        {"resource": {"resourceType": "ImagingStudy"}, "identifier": "urn:x|y"}, {"resource": {}},
    ]  # fmt: skip
    for number, payload in enumerate(payloads, start=1):
        await store.write(adding(StudyInstanceUID(f"1.{number}"), due_at=NOW, now=NOW, **payload))
    claim = partial(outbox_claims.claim, kind=KIND, now=NOW, lease_micros=LEASE, limit=9, ahead=entries_of)
    assert [work.ahead for work in await store.write(claim)] == [entry, None, None, None, None]
