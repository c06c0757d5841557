"""Work of the outbox as events of a journey."""

from __future__ import annotations

from functools import partial

from gateway.errors import Fate
from gateway.operations import studies_view
from gateway.operations.work_events import events_of
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.store import Store, outbox_given_up
from tests.web.served import NINE, STUDY, add_delivery


async def test_what_was_given_up_names_who_and_why(store: Store) -> None:
    refused = {"error": "HTTP 422: no such patient"}
    row = await store.write(partial(add_delivery, at=NINE, fate=Fate.PARK, outcome=refused))
    decided = partial(outbox_given_up.give_up, person="night", note="test patient", now=NINE + 5_000_000)
    await store.write(partial(decided, ids=[WorkRow(row)]))
    [delivery] = await store.read(partial(studies_view.deliveries, study_uid=StudyInstanceUID(STUDY)))
    event = list(events_of(delivery))[-1]
    assert (event.text, event.at) == ("ehr:main given up by night: test patient", "2026-01-05T09:00:05.000000Z")
