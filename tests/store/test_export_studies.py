"""What the export reads of studies, series and instances."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.store import Store, export_studies, moved_instances
from gateway.store.schema import series, studies
from tests.store.test_moved_instances import image, keep, uid


async def test_an_instance_that_moved_is_counted_and_listed_in_its_study_of_today_alone(store: Store) -> None:
    def exported(connection: Connection) -> tuple[list[int], list[str]]:
        keep(connection, [image(1), image(2, 1)])
        moved_instances.write(connection, moved_instances.find(connection, uid(2)), now=1)
        ids, of_series = (list(connection.execute(select(one.c.id)).scalars()) for one in (studies, series))
        page = export_studies.page(connection, ids=ids)
        rows = export_studies.instances_of(connection, of_series, after=None, limit=9)
        return [page.counts.get(one, 0) for one in of_series], [row.sop_uid for row in rows]

    assert await store.write(exported) == ([0, 1], [f"{uid(2)}.1"])
