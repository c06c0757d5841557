from __future__ import annotations

from datetime import UTC
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.journey.worklist.station import Rules
from gateway.operations import scanner_worklist
from gateway.operations.scanner_worklist import ScannerWorklist
from gateway.store import Store, refusals, scanner_queries
from gateway.store.scanner_queries import ScannerQuery
from gateway.wire.dimse import AcceptorPolicy, Peer
from tests.web.served import NINE, SECOND, add_order

RULES = Rules(hidden_states=("CANCELED", "COMPLETED"), max_matches=500, pn_implicit_wildcard=False, zone=UTC)


def policy(**peers: Peer) -> AcceptorPolicy:
    return AcceptorPolicy(
        ae_title="GW", check_called_ae=False, peers=peers, others=None if peers else Peer(), max_associations=9,
        max_associations_per_address=9, storage_classes=frozenset(),
    )  # fmt: skip


def fill(connection: Connection) -> None:
    add_order(connection, accession="A1", study_uid="1.2.1")
    add_order(connection, accession="A2", study_uid="1.2.2", station_ae="MR1")
    add_order(connection, accession="A3", study_uid="1.2.3", state="CANCELED")
    add_order(connection, accession="A4", study_uid="1.2.4", station_ae="")


def ask(connection: Connection, at: int = NINE, **keys: Any) -> None:
    step = {"ScheduledStationAETitle": "CT1", "Modality": "CT", "ScheduledProcedureStepStartDate": "20260105", **keys}
    query = ScannerQuery(at, "CT1", "10.0.0.7", {"ScheduledProcedureStepSequence": [step]}, 0, [], 900)
    scanner_queries.log(connection, [query])


async def seen(store: Store, station: str = "CT1", day: str = "", **peers: Peer) -> ScannerWorklist:
    view = partial(scanner_worklist.scanner_worklist, policy=policy(**peers), rules=RULES, station=station, now=NINE)
    return await store.read(partial(view, day=day))


async def test_what_is_shown_and_what_is_not_and_why(store: Store) -> None:
    await store.write(fill)
    await store.write(ask)
    view = await seen(store)
    assert [(one.accession, one.modality) for one in view.shown] == [("A1", "CT"), ("A4", "CT")]
    assert {one.accession: one.reasons for one in view.hidden} == {
        "A2": ("asked for ScheduledStationAETitle = CT1; it has MR1",),
        "A3": ("CANCELED steps are not shown (dicom.hidden_states)",),
    }
    assert sorted(number for _, number in view.reasons) == [1, 1]
    assert (view.day, view.rule, view.more_shown, view.more_hidden, view.remarks) == ("20260105", "", False, False, ())


async def test_the_last_query_counts_and_all_are_listed(store: Store) -> None:
    await store.write(fill)
    await store.write(ask)
    await store.write(lambda c: ask(c, NINE + SECOND, Modality="MR"))
    view = await seen(store)
    assert view.shown == ()
    assert {one.accession for one in view.hidden} == {"A1", "A2", "A3", "A4"}
    assert [query.asked_at for query in view.queries] == [NINE + SECOND, NINE]


async def test_another_day_is_asked_for(store: Store) -> None:
    await store.write(fill)
    await store.write(lambda c: ask(c, ScheduledProcedureStepStartDate="20260106"))
    view = await seen(store, day="20260105")
    assert {reason for one in view.hidden for reason in one.reasons if "StartDate" in reason} == {
        "asked for ScheduledProcedureStepStartDate = 20260106; it has 20260105"
    }
    assert (await seen(store)).hidden == ()


async def test_a_scanner_that_has_not_asked_and_is_not_let_in(store: Store) -> None:
    def refuse(connection: Connection) -> None:
        for source, reason in (("CT9 10.0.0.9", "association refused: calling AE title"), ("CT99 10.0.0.8", "other")):
            refusals.add(connection, refused_at=NINE, source=source, reason=reason, body=b"")

    await store.write(fill)
    await store.write(refuse)
    view = await seen(store, "CT9", CT1=Peer())
    assert [one.reason for one in view.refused] == ["association refused: calling AE title"]
    assert view.remarks == (
        "CT9 is not among dicom.allowed_calling_aes: its associations are refused",
        "CT9 has not asked, as far back as queries are kept; states and rules are all that is known",
    )
    assert {one.accession for one in view.shown} == {"A1", "A2", "A4"}


async def test_a_list_that_is_cut_states_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner_worklist, "MOST", 1)
    await store.write(fill)
    await store.write(ask)
    view = await seen(store)
    assert (len(view.shown), view.more_shown, len(view.hidden), view.more_hidden) == (1, True, 1, True)
