from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import Connection

from gateway.errors import Fate
from gateway.operations import study_list
from gateway.operations.answers.studies import StudyList
from gateway.operations.study_list import StudyFilter
from gateway.records.ehr_standing import EhrStanding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, delivery_to
from gateway.store import Store, outbox, studies, study_listing
from tests.web.served import NINE, add_delivery, add_instance

UIDS = {
    EhrStanding.DELIVERED: "1.2.1", EhrStanding.PARKED: "1.2.2", EhrStanding.WAITS: "1.2.3",
    EhrStanding.WITHDRAWN: "1.2.4", EhrStanding.NOT_SENT: "1.2.5",
}  # fmt: skip


def fill(connection: Connection) -> None:
    """A study for each standing; of the parked one an EHR has its copy, and its order waits for another."""
    for number, uid in enumerate(UIDS.values()):
        add_instance(connection, number, at=NINE, study_uid=uid, accession=f"A{number}", patient_id=f"P{number}")
    add_delivery(connection, at=NINE, study_uid="1.2.1")
    add_delivery(connection, at=NINE, study_uid="1.2.2")
    add_delivery(connection, at=NINE, study_uid="1.2.2", kind="ehr:other", fate=Fate.PARK)
    outbox.enqueue(
        connection, lane=Lane(delivery_to("main"), StudyInstanceUID("1.2.3")), payload={}, due_at=NINE, now=NINE
    )
    add_delivery(connection, at=NINE, study_uid="1.2.4", kind="ehr:third")
    studies.withdraw(connection, StudyInstanceUID("1.2.4"), at=NINE)


async def listed(store: Store, narrow: StudyFilter | None = None, before: int | None = None) -> StudyList:
    return await store.read(partial(study_list.study_list, narrow=narrow or StudyFilter(), before=before))


async def test_how_each_study_stands(store: Store) -> None:
    await store.write(fill)
    found = await listed(store)
    assert {one.study_uid: one.standing for one in found.studies} == {uid: how for how, uid in UIDS.items()}
    assert [one.study_uid for one in found.studies] == sorted(UIDS.values(), reverse=True)
    assert (found.total, found.is_more, found.next_before) == (5, False, None)
    [parked] = [one for one in found.studies if one.study_uid == "1.2.2"]
    assert parked.ehrs == {"main": "done", "other": "parked"}


@pytest.mark.parametrize("standing", EhrStanding)
async def test_studies_by_how_they_stand(store: Store, standing: EhrStanding) -> None:
    await store.write(fill)
    found = await listed(store, StudyFilter(standing=standing))
    assert ([one.study_uid for one in found.studies], found.total) == ([UIDS[standing]], 1)


async def test_studies_by_patient_and_accession_number(store: Store) -> None:
    await store.write(fill)
    for narrow in (StudyFilter(patient_id="P2"), StudyFilter(accession="A2")):
        assert [one.study_uid for one in (await listed(store, narrow)).studies] == ["1.2.3"]
    assert (await listed(store, StudyFilter("P2", "A1"))).studies == []


async def test_pages_and_a_count_that_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.write(fill)
    monkeypatch.setattr(study_list, "PAGE", 2)
    monkeypatch.setattr(study_listing, "MOST_COUNTED", 3)
    uids: list[str] = []
    before = None
    while True:
        found = await listed(store, before=before)
        assert (found.total, found.is_more) == (3, True)
        uids += [one.study_uid for one in found.studies]
        before = found.next_before
        if before is None:
            break
    assert uids == sorted(UIDS.values(), reverse=True)
