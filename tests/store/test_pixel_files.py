"""Files of instances: the newest counts, and what nobody needs is released."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from sqlalchemy import Connection, insert

from gateway.records.pixel_file import StoredFile
from gateway.store import Store, pixel_files
from gateway.store.schema import instances, series, studies

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def stored(file: str, content: str = "pixels") -> StoredFile:
    return StoredFile(file, 100, content.encode().ljust(32))


def an_instance(connection: Connection) -> int:
    """Of a study with the row 1."""
    study = {
        "study_uid": "1.2.3", "accession": "", "patient_id": "", "patient_issuer": "", "source_ae": "",
        "attributes": {}, "revision": 1, "settled_revision": 0, "first_at": 1, "last_at": 1,
    }  # fmt: skip
    connection.execute(insert(studies), study)
    connection.execute(insert(series), {"study": 1, "series_uid": "1.2.4", "attributes": {}})
    instance = {
        "series": 1, "sop_uid": "1.2.5", "sop_class_uid": "1.2", "attributes": {}, "transfer_syntax_uid": EXPLICIT,
        "header": b"", "digest": b"", "received_at": 1,
    }  # fmt: skip
    key = connection.execute(insert(instances), instance).inserted_primary_key
    assert key is not None
    return int(key[0])


@pytest.fixture
async def instance(store: Store) -> int:
    return await store.write(an_instance)


def released(connection: Connection) -> list[str]:
    return [one.file for one in pixel_files.released(connection, 10)]


async def test_the_newest_file_counts_and_the_older_is_released(store: Store, instance: int) -> None:
    def unit(connection: Connection) -> None:
        assert pixel_files.of_instance(connection, instance) is None
        assert pixel_files.keep(connection, instance, stored("a"), EXPLICIT, 1)
        assert not pixel_files.keep(connection, instance, stored("b"), EXPLICIT, 2), "the same bytes again"
        assert released(connection) == ["b"]
        assert pixel_files.keep(connection, instance, stored("c", "other"), EXPLICIT, 3)
        assert pixel_files.keep(connection, instance, stored("d", "other"), IMPLICIT, 4)
        assert released(connection) == ["b", "a", "c"]
        [kept] = pixel_files.of_study(connection, 1, 0, 10)
        assert (kept.file, kept.sop_uid, kept.transfer_syntax_uid, kept.is_kept) == ("d", "1.2.5", IMPLICIT, True)
        assert pixel_files.of_study(connection, 1, kept.id, 10) == []
        assert pixel_files.total(connection) == (4, 400)
        pixel_files.forget_released(connection, [one.id for one in pixel_files.released(connection, 10)])
        assert pixel_files.total(connection) == (1, 100)
        assert pixel_files.with_rows(connection, ["a", "d", "x"]) == {"d"}

    await store.write(unit)


async def test_a_file_that_was_removed_may_come_again(store: Store, instance: int) -> None:
    def unit(connection: Connection) -> None:
        pixel_files.keep(connection, instance, stored("a"), EXPLICIT, 1)
        [kept] = pixel_files.of_study(connection, 1, 0, 10)
        assert pixel_files.mark_removed(connection, [kept.id], 5) == 1
        assert pixel_files.mark_removed(connection, [kept.id], 6) == 0
        removed = pixel_files.of_instance(connection, instance)
        assert removed is not None
        assert (removed.removed_at, removed.is_kept) == (5, False)
        assert pixel_files.with_rows(connection, ["a"]) == set()
        assert pixel_files.keep(connection, instance, stored("b"), EXPLICIT, 7)
        assert released(connection) == ["a"]
        again = pixel_files.of_instance(connection, instance)
        assert again is not None
        assert again.is_kept

    await store.write(unit)


async def test_a_file_that_is_not_there_is_noted_once(store: Store, instance: int) -> None:
    def unit(connection: Connection) -> None:
        pixel_files.keep(connection, instance, stored("a"), EXPLICIT, 1)
        [listed] = pixel_files.page(connection, 0, 10)
        assert pixel_files.mark_missing(connection, [listed._replace(file="older"), listed], 5) == 1
        assert pixel_files.page(connection, 0, 10) == [listed._replace(is_missing=True)]
        assert pixel_files.missing(connection) == 1
        assert pixel_files.mark_missing(connection, [listed], None) == 1
        assert pixel_files.missing(connection) == 0
        pixel_files.mark_missing(connection, [listed], 6)
        assert pixel_files.keep(connection, instance, stored("b"), EXPLICIT, 7), "the sender sends it again"
        assert pixel_files.missing(connection) == 0

    await store.write(unit)


async def test_a_deleted_instance_releases_its_file(store: Store, instance: int) -> None:
    def unit(connection: Connection, tally: Counter[str]) -> None:
        pixel_files.keep(connection, instance, stored("a"), EXPLICIT, 1)
        pixel_files.delete_of(connection, tally, [instance])
        assert (released(connection), pixel_files.of_instance(connection, instance)) == (["a"], None)

    tally: Counter[str] = Counter()
    await store.write(partial(unit, tally=tally))
    assert tally == {"pixel_files": 1}
