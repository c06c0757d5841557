"""An export from beginning to end: pages of the store, one snapshot each, to files, in bounded memory."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, select

from gateway.operations.export import manifest, order_rows, study_rows
from gateway.operations.export.folder import ExportFolder
from gateway.operations.export.manifest import ExportedFile
from gateway.operations.export.plan import ExportPlan
from gateway.operations.export.pseudonyms import Pseudonyms
from gateway.operations.export.treated import Treated
from gateway.operations.export.writers import WRITERS, RowWriter
from gateway.store import Store, export_orders, export_studies, recent
from gateway.store.schema import orders, studies

T = TypeVar("T")

ORDERS_OF_A_PAGE: Final = 1_000
STUDIES_OF_A_PAGE: Final = 100
INSTANCES_OF_A_PAGE: Final = 5_000
SERIES_AT_ONCE: Final = 50
_BY_CHANCE: Final = SystemRandom()
"""No row stands where it came: times of the day, in the order of arrival, would say how far the dates were moved."""

Progress = Callable[[str, int, int], None]
"""Orders or studies; those that were looked at; those in all."""
Page = dict[str, list[list[Any]]]
"""Table -> rows that may leave."""


@dataclass
class _Output:
    """The open files of an export."""

    treated: dict[str, Treated]
    writers: dict[str, RowWriter]
    counts: dict[str, int] = field(default_factory=dict)

    def write(self, page: Page) -> None:
        for table, rows in page.items():
            self.writers[table].write(rows)
            self.counts[table] = self.counts.get(table, 0) + len(rows)

    def finish(self) -> None:
        for writer in self.writers.values():
            writer.finish()

    def treat(self, rows: Iterator[tuple[str, Any]]) -> Page:
        page: Page = {}
        for table, raw in rows:
            page.setdefault(table, []).append(self.treated[table].row(raw))
        for some in page.values():
            _BY_CHANCE.shuffle(some)
        return page


Noted = Callable[[Sequence[ExportedFile]], Any]
"""Called with the files before they get their place; what it raises keeps them from it."""


async def export(
    store: Store,
    plan: ExportPlan,
    pseudonyms: Pseudonyms,
    out: Path,
    *,
    on_progress: Progress,
    before_publishing: Noted,
) -> list[ExportedFile]:
    """Write the export to the folder `out`, which gets its name when all is written.

    Raises `ConfigError` for a folder that cannot be made, `Unavailable`, and what `before_publishing` raises.
    """
    folder = ExportFolder(out)
    try:
        await _to_its_end(folder.make)
        counts = await _fill(store, plan, pseudonyms, folder, on_progress)
        files = await asyncio.to_thread(_described, folder, plan, counts, pseudonyms)
        await before_publishing(list(files.values()))
        await asyncio.to_thread(folder.publish)
    except BaseException:
        # Also when a person ends it: nothing half is left behind.
        await asyncio.to_thread(folder.discard)
        raise
    return list(files.values())


async def _fill(
    store: Store, plan: ExportPlan, pseudonyms: Pseudonyms, folder: ExportFolder, on_progress: Progress
) -> dict[str, int]:
    stack = ExitStack()
    try:
        output = await _to_its_end(partial(_opened, stack, folder, plan, pseudonyms))
        async for page in _pages(store, plan, output, on_progress):
            await _to_its_end(partial(output.write, page))
        await _to_its_end(output.finish)
    finally:
        await asyncio.to_thread(stack.close)
    return output.counts


async def _to_its_end(work: Callable[[], T]) -> T:
    """The result of `work`, which runs in a thread. Whoever is cancelled waits for its end: files that a thread still
    makes would be left behind."""
    # No task: the end of a loop cancels every task, and would no longer wait for the thread.
    thread = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise


def _opened(stack: ExitStack, folder: ExportFolder, plan: ExportPlan, pseudonyms: Pseudonyms) -> _Output:
    tables = (*order_rows.TABLES, *study_rows.TABLES)
    treated = {table: Treated(table, pseudonyms, plan.retained) for table in tables}
    files = {table: stack.enter_context(folder.file(_name(table, plan))) for table in tables}
    writers = {table: WRITERS[plan.form](files[table], treated[table].columns) for table in tables}
    return _Output(treated, writers, dict.fromkeys(tables, 0))


def _name(table: str, plan: ExportPlan) -> str:
    return f"{table}.{plan.form.value}"


async def _pages(store: Store, plan: ExportPlan, output: _Output, on_progress: Progress) -> AsyncIterator[Page]:
    ids = await store.read_long(partial(_ids, table=orders, plan=plan))
    for first in range(0, len(ids), ORDERS_OF_A_PAGE):
        on_progress("orders", first, len(ids))
        some = ids[first : first + ORDERS_OF_A_PAGE].tolist()
        yield await store.read_long(partial(_orders, ids=some, plan=plan, output=output))
    ids = await store.read_long(partial(_ids, table=studies, plan=plan))
    for first in range(0, len(ids), STUDIES_OF_A_PAGE):
        on_progress("studies", first, len(ids))
        some = ids[first : first + STUDIES_OF_A_PAGE].tolist()
        page, rows = await store.read_long(partial(_studies, ids=some, plan=plan, output=output))
        yield page
        async for instances in _instances(store, rows, output):
            yield instances


def _ids(connection: Connection, table: Table, plan: ExportPlan) -> array[int]:
    """The ids of a table between the bounds of a plan, in an order by chance."""
    begin, end = plan.bounds()
    first = recent.first_since(connection, table.name, begin)
    last = recent.first_since(connection, table.name, end, low=first)
    wanted = select(table.c.id).where(table.c.id >= first, table.c.id < last)
    ids = array("q", connection.execute(wanted).scalars())
    _BY_CHANCE.shuffle(ids)
    return ids


def _orders(connection: Connection, *, ids: Sequence[int], plan: ExportPlan, output: _Output) -> Page:
    page = export_orders.page(connection, ids=ids)
    return output.treat(order_rows.raw_rows(connection, page, plan.zone))


def _studies(
    connection: Connection, *, ids: Sequence[int], plan: ExportPlan, output: _Output
) -> tuple[Page, study_rows.StudyRows]:
    rows = study_rows.StudyRows(connection, export_studies.page(connection, ids=ids), plan.zone)
    return output.treat(rows.raw_rows()), rows


async def _instances(store: Store, rows: study_rows.StudyRows, output: _Output) -> AsyncIterator[Page]:
    waiting = iter(_BY_CHANCE.sample(sorted(rows.series), len(rows.series)))
    while of_series := list(islice(waiting, SERIES_AT_ONCE)):
        after: tuple[int, str] | None = None
        while True:
            some = partial(export_studies.instances_of, of_series=of_series, after=after, limit=INSTANCES_OF_A_PAGE)
            found = await store.read_long(some)
            yield await asyncio.to_thread(output.treat, rows.instances(found))
            if len(found) < INSTANCES_OF_A_PAGE:
                break
            after = (found[-1].series, found[-1].sop_uid)
            of_series = [one for one in of_series if one >= found[-1].series]


def _described(
    folder: ExportFolder, plan: ExportPlan, counts: dict[str, int], pseudonyms: Pseudonyms
) -> dict[str, ExportedFile]:
    """The files with their hashes; the manifest is written beside them."""
    files = {}
    for table, rows in counts.items():
        name = _name(table, plan)
        files[table] = ExportedFile(table, name, rows, folder.size(name), folder.digest(name))
    text = manifest.manifest(files, plan.retained, form=plan.form.value, key=pseudonyms.of("key", ""))
    with folder.file(manifest.NAME) as file:
        file.write(text)
    return files
