"""Files of the spool by their instances, and the files that are to be deleted from the disk.

A row is written in the transaction of its instance. What no row needs any more is *released* in the transaction that
finds so; only then, and after the commit, the file is deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from gateway.records.pixel_file import PixelFile, StoredFile
from gateway.store.schema import instances, pixel_files, released_files, series
from gateway.store.statement import Statement

_ROW: Final = select(pixel_files, instances.c.sop_uid, instances.c.sop_class_uid).join(
    instances, instances.c.id == pixel_files.c.instance
)
_OF_INSTANCE: Final = _ROW.where(pixel_files.c.instance == bindparam("the_instance"))
_ADD: Final = Statement(
    insert(pixel_files),
    ("instance", "file", "size", "sha256", "transfer_syntax_uid", "stored_at", "removed_at", "missing_at"),
)
_HELD: Final = select(pixel_files).where(pixel_files.c.instance == bindparam("the_instance"))
_REPLACE: Final = update(pixel_files).where(pixel_files.c.id == bindparam("the_id"))
_OF_STUDY: Final = (
    _ROW.join(series, series.c.id == instances.c.series)
    .where(series.c.study == bindparam("the_study"), pixel_files.c.id > bindparam("after"))
    .order_by(pixel_files.c.id)
    .limit(bindparam("most"))
)


class Total(NamedTuple):
    """What the spool holds by its rows."""

    files: int
    bytes: int


class Listed(NamedTuple):
    """A file that should be there."""

    id: int
    """Of its row."""
    file: str
    is_missing: bool
    """It was not, when it was looked for."""


class Released(NamedTuple):
    """A file that is to be deleted."""

    id: int
    file: str
    size: int


def keep(
    connection: Connection,
    instance: int,
    stored: StoredFile,
    transfer_syntax_uid: str,
    now: int,
    *,
    is_new: bool = False,
) -> bool:
    """Let `stored` be the file of an instance; False where the file that is kept has the same content: then `stored`
    is released, else the older file is. `is_new`: the instance has just been made, and has none."""
    values = {
        "instance": instance, "file": stored.file, "size": stored.size, "sha256": stored.sha256,
        "transfer_syntax_uid": transfer_syntax_uid, "stored_at": now, "removed_at": None, "missing_at": None,
    }  # fmt: skip
    held = None if is_new else connection.execute(_HELD, {"the_instance": instance}).first()
    if held is None:
        _ADD.run(connection, values)
        return True
    is_here = held.removed_at is None and held.missing_at is None
    if is_here and (held.sha256, held.transfer_syntax_uid) == (stored.sha256, transfer_syntax_uid):
        _release(connection, [stored])
        return False
    if held.removed_at is None:
        _release(connection, [held])
    connection.execute(_REPLACE.values(values), {"the_id": held.id})
    return True


def _release(connection: Connection, files: Iterable[Any]) -> None:
    rows = [{"file": one.file, "size": one.size} for one in files]
    if rows:
        connection.execute(insert(released_files), rows)


def of_instance(connection: Connection, instance: int) -> PixelFile | None:
    """The file of a row of `instances`; None where its pixels never came, or were not kept."""
    row = connection.execute(_OF_INSTANCE, {"the_instance": instance}).first()
    return None if row is None else PixelFile(**row._mapping)


def of_instances(connection: Connection, rows: Sequence[int]) -> dict[int, PixelFile]:
    """Row of `instances` -> its file, of those that have one; as `of_instance`."""
    found = connection.execute(_ROW.where(pixel_files.c.instance.in_(rows)))
    return {row.instance: PixelFile(**row._mapping) for row in found}


def of_study(connection: Connection, study: int, after: int, limit: int) -> list[PixelFile]:
    """The next files of a row of `studies`, by their ids, behind `after`; those that were removed too."""
    rows = connection.execute(_OF_STUDY, {"the_study": study, "after": after, "most": limit})
    return [PixelFile(**row._mapping) for row in rows]


def mark_removed(connection: Connection, rows: Sequence[int], now: int) -> int:
    """Nobody needs these files any more (ids of `pixel_files`): they are deleted from the disk soon after the commit.
    Returns how many were kept until now."""
    wanted = select(pixel_files).where(pixel_files.c.id.in_(rows), pixel_files.c.removed_at.is_(None))
    going = connection.execute(wanted).all()
    _release(connection, going)
    connection.execute(
        update(pixel_files).where(pixel_files.c.id.in_([row.id for row in going])).values(removed_at=now)
    )
    return len(going)


def delete_of(connection: Connection, tally: Counter[str], of_instances: Sequence[int]) -> None:
    """Delete the rows of these instances, which will be deleted themselves, and release their files."""
    rows = connection.execute(select(pixel_files).where(pixel_files.c.instance.in_(of_instances))).all()
    _release(connection, (row for row in rows if row.removed_at is None))
    if rows:
        connection.execute(delete(pixel_files).where(pixel_files.c.id.in_([row.id for row in rows])))
        tally[str(pixel_files.name)] += len(rows)


def total(connection: Connection) -> Total:
    """Of all files that are on the disk by their rows."""
    kept = select(func.count(), func.coalesce(func.sum(pixel_files.c.size), 0)).where(
        pixel_files.c.removed_at.is_(None)
    )
    going = select(func.count(), func.coalesce(func.sum(released_files.c.size), 0))
    counts = [connection.execute(wanted).one() for wanted in (kept, going)]
    return Total(sum(int(one[0]) for one in counts), sum(int(one[1]) for one in counts))


def first_stored_at(connection: Connection) -> int | None:
    """When the first file was stored, nearly, whether it is kept or not; None: there is no row."""
    # Of several: an instance that came again has its row of old, and the moment of its newest file.
    first = select(pixel_files.c.stored_at).order_by(pixel_files.c.id).limit(100).subquery()
    moment: int | None = connection.execute(select(func.min(first.c.stored_at))).scalar_one()
    return moment


def with_rows(connection: Connection, files: Collection[str]) -> set[str]:
    """Those of these files that an instance has."""
    kept = select(pixel_files.c.file).where(pixel_files.c.file.in_(files), pixel_files.c.removed_at.is_(None))
    return set(connection.execute(kept).scalars())


def page(connection: Connection, after: int, limit: int) -> list[Listed]:
    """The next rows behind `after` whose file should be there."""
    wanted = (
        select(pixel_files.c.id, pixel_files.c.file, pixel_files.c.missing_at)
        .where(pixel_files.c.id > after, pixel_files.c.removed_at.is_(None))
        .order_by(pixel_files.c.id)
        .limit(limit)
    )
    return [Listed(row.id, row.file, row.missing_at is not None) for row in connection.execute(wanted)]


def mark_missing(connection: Connection, listed: Collection[Listed], now: int | None) -> int:
    """These files are not there (None: they are there again). Returns how many of them still belong to their row."""
    number = 0
    for one in listed:
        wanted = update(pixel_files).where(
            pixel_files.c.id == one.id, pixel_files.c.file == one.file, pixel_files.c.removed_at.is_(None)
        )
        number += connection.execute(wanted.values(missing_at=now)).rowcount
    return number


def missing(connection: Connection) -> int:
    """How many instances have lost their file."""
    wanted = select(func.count()).where(pixel_files.c.missing_at.is_not(None))
    return int(connection.execute(wanted).scalar_one())


def released(connection: Connection, limit: int) -> list[Released]:
    """The next files that are to be deleted from the disk."""
    columns = (released_files.c.id, released_files.c.file, released_files.c.size)
    rows = connection.execute(select(*columns).order_by(released_files.c.id).limit(limit))
    return [Released(*row) for row in rows]


def forget_released(connection: Connection, ids: Sequence[int]) -> None:
    """These files are gone from the disk."""
    connection.execute(delete(released_files).where(released_files.c.id.in_(ids)))
