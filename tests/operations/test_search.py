from __future__ import annotations

from datetime import UTC
from functools import partial

import pytest
from sqlalchemy import Connection

from gateway.operations.answers.search import Hits, MessageHit, OrderHit, PatientHit, StudyHit
from gateway.operations.search import MOST, Search, remarks, search, sole
from gateway.records.lookup import MessageNumber, NumberKind, StepFilter
from gateway.records.patient import Identity
from gateway.records.row_ids import MessageRow
from gateway.store import Store, lookup_filter, message_numbers, patients
from tests.web.served import NINE, STUDY, add_instance, add_message, add_order, whole_journey


async def hits_of(store: Store, text: str = "", **narrow: str) -> Hits:
    return await store.read(partial(search, wanted=Search(UTC, text, StepFilter(**narrow))))


def cut(hits: Hits) -> list[str]:
    return [kind for kind, more in hits.more.items() if more]


FOUND_BY = {
    "A100": "accession number",
    "PA100": "placer order number",
    STUDY: "Study Instance UID",
    "4711": "Patient ID",
    "must": "patient name",
    "ERI": "patient name",
    "Muster, Erika": "patient name",
    "erika muster": "patient name",
    "^erika": "patient name",
}


async def test_an_order_is_found_by_each_of_its_numbers_and_names(store: Store) -> None:
    ids = await store.write(whole_journey)
    for text, by in FOUND_BY.items():
        hits = await hits_of(store, text)
        found = [(one.id, one.by, one.patient_name) for one in hits.orders]
        assert found == [(ids["order"], by, "Muster^Erika")], text
        assert [(step.step_id, step.station_aes) for step in hits.orders[0].steps] == [("SPS1", ["CT1"])]
    for text in ("A10", "uster", "nobody", "A1000", '""', "%", "must_r"):
        assert (await hits_of(store, text)).count == 0, text


async def test_a_study_is_found_by_its_parts(store: Store) -> None:
    await store.write(whole_journey)
    for text, by in ((f"{STUDY}.1", "Series Instance UID"), (f"{STUDY}.9.2", "SOP Instance UID")):
        hits = await hits_of(store, text)
        assert [(one.study_uid, one.by) for one in hits.studies] == [(STUDY, by)]
        assert isinstance(sole(hits), StudyHit)


async def test_a_number_of_one_thing_alone_leads_there(store: Store) -> None:
    await store.write(whole_journey)

    async def of(text: str) -> object:
        return sole(await hits_of(store, text))

    assert isinstance(await of("A100"), OrderHit), "its study is part of the same journey"
    assert isinstance(await of("4711"), PatientHit)
    assert isinstance(await of("C1"), MessageHit)
    assert await of("muster") is None, "a name is no number"
    await store.write(lambda c: add_order(c, study_uid="1.2.9"))
    assert await of("A100") is None, "two orders have it"


def a_rejected_message(connection: Connection, control_id: str = "C1") -> int:
    row = add_message(connection, state="rejected")
    numbers = [(NumberKind.NUMBER, "A900"), (NumberKind.NAME, "muster^erika"), (NumberKind.GIVEN, "erika")]
    message_numbers.keep(connection, row, [MessageNumber(*one) for one in numbers])
    return row


@pytest.mark.parametrize("text", ["A900", "C1", "muster", "Erika"])
async def test_a_message_that_was_not_applied_is_found_by_what_is_in_it(store: Store, text: str) -> None:
    row = await store.write(a_rejected_message)
    for state in ("", "not-applied"):
        hits = await hits_of(store, text, state=state)
        assert [one.id for one in hits.messages] == [row]
    await store.write(lambda c: message_numbers.forget(c, MessageRow(row)))
    assert [one.id for one in (await hits_of(store, "C1")).messages] == [row]
    assert not (await hits_of(store, "A900")).count


async def test_a_merged_patient_leads_to_who_they_are_now(store: Store) -> None:
    def merged(connection: Connection) -> int:
        add_order(connection)
        survivor = patients.find(connection, Identity("4711", "HOSP"))
        assert survivor is not None
        patients.add(
            connection, Identity("OLD", "HOSP"), attributes={}, stamps={}, first_at=NINE, now=NINE,
            merged_into=survivor["id"],
        )  # fmt: skip
        return int(survivor["id"])

    row = await store.write(merged)
    hits = await hits_of(store, "OLD")
    assert [(one.id, one.patient_id) for one in hits.patients] == [(row, "4711")]
    assert [one.accession for one in hits.orders] == ["A100"]


FILTERS: tuple[tuple[dict[str, str], int], ...] = (
    ({"day": "20260105"}, 1), ({"day": "20260106"}, 0), ({"day": "20260105", "modality": "CT"}, 1),
    ({"modality": "CT"}, 1), ({"modality": "MR"}, 0), ({"station": "CT1"}, 1), ({"station": "CT"}, 0),
    ({"state": "SCHEDULED"}, 1), ({"state": "CANCELED"}, 0), ({"day": "20260105", "station": "CT9"}, 0),
)  # fmt: skip


async def test_a_filter_chooses_orders_by_their_steps(store: Store) -> None:
    await store.write(lambda c: add_order(c, station_ae="CT2\\CT1"))
    for narrow, number in FILTERS:
        for text in ("", "A100", "muster"):
            hits = await hits_of(store, text, **narrow)
            assert (len(hits.orders), hits.count) == (number, number), (text, narrow)


async def test_a_filter_keeps_to_the_text(store: Store) -> None:
    await store.write(lambda c: add_order(c))
    await store.write(lambda c: add_order(c, accession="B1", patient_id="9", study_uid="1.2.9"))
    for narrow in ({"day": "20260105"}, {"modality": "CT"}):
        hits = await hits_of(store, "B1", **narrow)
        assert [one.accession for one in hits.orders] == ["B1"]


async def test_messages_that_were_not_applied_are_listed_by_day(store: Store) -> None:
    row = await store.write(a_rejected_message)
    await store.write(lambda c: add_message(c))
    hits = await hits_of(store, state="not-applied", day="20260105")
    assert ([one.id for one in hits.messages], hits.count) == ([row], 1)
    assert not (await hits_of(store, state="not-applied", day="20260104")).count


async def test_a_list_that_is_cut_states_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def many(connection: Connection) -> None:
        for number in range(MOST + 2):
            add_order(connection, accession="A1", study_uid=f"1.2.{number}", patient_id=f"P{number}")
            add_instance(connection, number, at=NINE, study_uid=f"1.3.{number}", accession="A1")

    await store.write(many)
    hits = await hits_of(store, "A1")
    assert (len(hits.orders), len(hits.studies), cut(hits)) == (MOST, MOST, ["orders", "studies"])
    hits = await hits_of(store, "muster")
    assert (len(hits.orders), len(hits.patients), cut(hits)) == (MOST, MOST, ["orders", "patients"])
    monkeypatch.setattr(lookup_filter, "LOOKED_AT", 5)
    hits = await hits_of(store, modality="CT")
    assert (len(hits.orders), hits.looked_at) == (5, 5)
    assert any("looked at 5 rows alone" in line for line in remarks(hits))
