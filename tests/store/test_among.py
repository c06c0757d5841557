"""A condition on many values is looked up in an index, not compared row by row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection

from gateway.records.row_ids import WorkRow
from gateway.store import Store, ehr_resources, outbox_claims
from gateway.store.ehr_resources import ResourceKey
from tests.store.plans import plans_of

KEYS = [ResourceKey("main", "ImagingStudy", f"urn:dicom:uid|urn:oid:1.{number}") for number in range(4)]
READS: list[tuple[str, Callable[[Connection], object]]] = [
    ("outbox", partial(outbox_claims.lease_ends, leases=[(WorkRow(number), "lease") for number in range(4)])),
    ("ehr_resources", partial(ehr_resources.get_all, keys=KEYS)),
]


@pytest.mark.parametrize(("table", "work"), READS)
async def test_no_row_is_read_but_those_of_the_values(
    sqlite_url: str, table: str, work: Callable[[Connection], object]
) -> None:
    store = await Store.open(sqlite_url)
    plans = await store.read(partial(plans_of, work=work))
    await store.close()
    lines = [line for _, line in plans if table in line]
    assert lines
    for line in lines:
        assert line.startswith(f"SEARCH {table} USING"), plans
        assert "rowid=?" in line or "identifier=?" in line, plans
