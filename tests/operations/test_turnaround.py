"""Turn-around times of examinations, on both databases."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from functools import partial

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from gateway.errors import InvalidValue
from gateway.operations.answers.turnaround import TurnaroundFigures
from gateway.operations.turnaround import figures_of
from gateway.store import Store, turnaround
from gateway.store.schema import instances, moved_instances, orders, performed_step_links, procedures, studies
from tests.operations.export import hospital
from tests.operations.export.hospital import NINE
from tests.operations.export.test_columns import ALL, ERIKA, ERIKA_LATER, OTTO

DAY = 86_400 * 1_000_000


@pytest.fixture
async def filled(store: Store) -> Store:
    for one in ALL:
        await store.write(partial(hospital.add, one=one))
    return store


async def of(store: Store, first: str = "20260105", last: str = "20260108") -> TurnaroundFigures:
    return await figures_of(store, first, last, now=NINE + 3 * DAY, zone=UTC)


async def test_medians_by_modality_station_and_day(filled: Store) -> None:
    figures = await of(filled)
    assert (figures.whole.examinations, figures.is_cut) == (3, False)
    [ct] = figures.by_modality
    assert (ct.name, ct.order_to_exam.number, ct.order_to_exam.median_seconds, ct.exam_to_ehr.p90_seconds) == (
        "CT", 3, 1200.0, 3000.0,
    )  # fmt: skip
    assert [one.name for one in figures.by_station] == ["a AE"]
    assert [(one.name, one.examinations) for one in figures.by_day] == [
        ("2026-01-05", 1), ("2026-01-06", 1), ("2026-01-08", 1),
    ]  # fmt: skip


async def test_without_days_the_last_seven_count(filled: Store) -> None:
    figures = await of(filled, "", "")
    assert (figures.first, figures.last, figures.whole.examinations) == ("2026-01-02", "2026-01-08", 3)
    assert (await of(filled, "20260106", "20260107")).whole.examinations == 1
    assert (await of(filled, "20250106", "20250107")).by_modality == []
    assert (await of(filled, "", "00010103")).first == "0001-01-01"
    with pytest.raises(InvalidValue, match="before the first day"):
        await of(filled, "20260108", "20260107")


async def test_a_day_is_one_of_the_site(filled: Store) -> None:
    zone = timezone(timedelta(hours=16))
    figures = await figures_of(filled, "20260106", "20260106", now=NINE, zone=zone)
    assert [one.name for one in figures.by_day] == ["2026-01-06"]
    assert (await figures_of(filled, "20260105", "20260105", now=NINE, zone=zone)).whole.examinations == 0


async def test_the_percentile_lies_between_its_neighbours(filled: Store) -> None:
    def later(connection: Connection) -> None:
        wanted = orders.c.accession == OTTO.accession
        connection.execute(update(orders).where(wanted).values(created_at=orders.c.created_at - 600_000_000))

    await filled.write(later)
    spread = (await of(filled)).whole.order_to_exam
    assert (spread.median_seconds, spread.p90_seconds) == (1200.0, 1680.0)


async def test_a_study_without_a_performed_step_begins_with_its_first_instance(filled: Store) -> None:
    await filled.write(lambda connection: connection.execute(delete(performed_step_links)).rowcount)
    whole = (await of(filled)).whole
    assert (whole.examinations, whole.order_to_exam.median_seconds, whole.exam_to_ehr.median_seconds) == (3, 2400, 1800)


async def test_a_study_under_a_uid_of_its_own_is_of_the_order_with_its_accession_number(filled: Store) -> None:
    def other_uid(connection: Connection) -> None:
        connection.execute(delete(performed_step_links))
        wanted = procedures.c.study_uid == ERIKA.study_uid
        connection.execute(update(procedures).where(wanted).values(study_uid="1.2.3"))

    await filled.write(other_uid)
    figures = await of(filled)
    assert (figures.whole.order_to_exam.number, [one.name for one in figures.by_modality]) == (3, ["CT"])


async def test_such_a_study_completes_the_performed_step_of_its_order(filled: Store) -> None:
    def other_uid(connection: Connection) -> None:
        for table in (procedures, performed_step_links):
            wanted = table.c.study_uid == ERIKA.study_uid
            connection.execute(update(table).where(wanted).values(study_uid="1.2.3"))

    await filled.write(other_uid)
    whole = (await of(filled)).whole
    assert (whole.examinations, whole.order_to_exam.median_seconds, whole.exam_to_ehr.number) == (3, 1200.0, 3)


async def test_a_study_that_took_over_another_is_no_examination_more(filled: Store) -> None:
    def moved(connection: Connection) -> None:
        row = connection.execute(select(studies).where(studies.c.study_uid == ERIKA.study_uid)).mappings().one()
        connection.execute(insert(studies), {**row, "id": row["id"] + 100, "study_uid": "1.2.3", "accession": ""})
        [instance, *_] = connection.execute(select(instances.c.id)).scalars()
        move = {"study_uid": ERIKA.study_uid, "to_study_uid": "1.2.3", "to_sop_uid": "1.2.4", "moved_at": NINE}
        connection.execute(insert(moved_instances), {"instance": instance, **move})

    before = (await of(filled)).whole.examinations
    await filled.write(moved)
    assert (await of(filled)).whole.examinations == before


async def test_a_study_whose_examination_began_the_day_before_is_counted_there(filled: Store) -> None:
    def a_day_later(connection: Connection) -> None:
        connection.execute(update(studies).values(first_at=studies.c.first_at + DAY))

    await filled.write(a_day_later)
    assert (await of(filled, "20260107", "20260107")).whole.examinations == 0


async def test_an_order_that_came_after_its_examination_is_not_counted(filled: Store) -> None:
    def too_late(connection: Connection) -> None:
        wanted = orders.c.accession == ERIKA_LATER.accession
        connection.execute(update(orders).where(wanted).values(created_at=orders.c.created_at + DAY))

    await filled.write(too_late)
    whole = (await of(filled)).whole
    assert (whole.examinations, whole.order_to_exam.number, whole.exam_to_ehr.number) == (3, 2, 3)


async def test_no_more_than_so_many_are_looked_at_the_newest(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnaround, "MOST", 2)
    figures = await of(filled)
    assert (figures.whole.examinations, figures.is_cut) == (2, True)
    assert [one.name for one in figures.by_day] == ["2026-01-06", "2026-01-08"]
