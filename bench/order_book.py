"""Order books of any size, filled by the database itself from the rows of one day.

A step of number n is on the n-th place of all days in a row. Each has a patient, an order and a procedure of its own;
what their attributes say comes from mapped messages of the RIS simulator, with the identifying values replaced.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from typing import Any

from pydicom import Dataset
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    cast,
    column,
    create_engine,
    func,
    insert,
    literal,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy import Column as SchemaColumn

from bench import gateway_process
from gateway.assembly.mappings import load_mappings
from gateway.clock import now
from gateway.config.tree import Config
from gateway.mapping.attributes import to_dataset
from gateway.mapping.orders.reading import OrderMapping
from gateway.records.order import OrderedProcedure
from gateway.simulators import ris
from gateway.store import Store
from gateway.store.schema import Json, orders, patients, procedures, steps
from gateway.wire.hl7.parsing import parse
from gateway.worklist.names import name_key

COMMON, RARE = "CT", "ES"
COMMON_A_DAY = 200
A_DAY = COMMON_A_DAY + 1
"""Steps of one day: an endoscopy, which a query by day and modality finds, and the rest."""
FIRST_DAY = date(2030, 1, 7)
FEWEST_DAYS = 5
TEMPLATES = 10
TABLES = (patients, orders, procedures, steps)
_DAYS_AT_ONCE = 50
_NUMBER, _DAY = "@N", "@DAY"
_KEYS = frozenset({"id", "patient", "order", "procedure"})
_QUICK = {
    # Nothing of this needs to survive a crash, and the rows are right as they are.
    "sqlite": ("journal_mode=MEMORY", "synchronous=OFF", "foreign_keys=OFF", "cache_size=-1000000"),
    "postgresql": ("synchronous_commit = off", "session_replication_role = replica", "maintenance_work_mem = '512MB'"),
}


def days(size: int) -> int:
    """Of a book of at least `size` steps: whole days, five or more."""
    return max(FEWEST_DAYS, -(-size // A_DAY))


def day(number: int) -> str:
    return f"{FIRST_DAY + timedelta(days=number // A_DAY):%Y%m%d}"


def middle(size: int) -> int:
    """The first step, the endoscopy, of the day in the middle."""
    return days(size) // 2 * A_DAY


def name(number: int | str) -> str:
    return f"Person{number}^Ada"


def filled(url: str, size: int) -> float:
    """Put at least `size` scheduled steps (whole days) into an empty database; the seconds it took.

    Rows of one table after the other and its indexes after them; statistics as the database takes them by itself in
    time.
    """
    begun = time.perf_counter()
    asyncio.run(_create(url))
    with hurried(url) as connection:
        _fill(connection, days(size))
    return time.perf_counter() - begun


@contextmanager
def hurried(url: str) -> Iterator[Connection]:
    """A connection that writes each statement without care for a crash, and without looking at foreign keys."""
    # Not the store's own, which makes every transaction durable.
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            dialect = connection.dialect.name
            for setting in _QUICK[dialect]:
                connection.exec_driver_sql(f"{'PRAGMA' if dialect == 'sqlite' else 'SET'} {setting}")
            yield connection
    finally:
        engine.dispose()


def items(numbers: range) -> list[Dataset]:
    """The common items among these steps, each as one data set."""
    return [_item(number) for number in numbers if number % A_DAY]


def _item(number: int) -> Dataset:
    patient, order, procedure, step = _rows(number % A_DAY, number, day(number))
    return to_dataset({
        **patient["attributes"], **order["attributes"], **procedure["attributes"],
        "ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": "BENCH", **step["attributes"]}],
    })  # fmt: skip


async def _create(url: str) -> None:
    store = await Store.open(url)
    await store.close()


def _fill(connection: Connection, number_of_days: int) -> None:
    dialect = connection.dialect.name
    made = MetaData()
    when = Table(
        "bench_days", made, SchemaColumn("first", BigInteger), SchemaColumn("day", Text), prefixes=["TEMPORARY"]
    )
    when.create(connection)
    firsts = [{"first": one * A_DAY, "day": day(one * A_DAY)} for one in range(number_of_days)]
    connection.execute(insert(when), firsts)
    rows = [_rows(place, _NUMBER, _DAY) for place in range(A_DAY)]
    for position, table in enumerate(TABLES):
        _fill_table(connection, made, when, table, [row[position] for row in rows])
    connection.execute(text("VACUUM ANALYZE" if dialect == "postgresql" else "ANALYZE"))


def _fill_table(connection: Connection, made: MetaData, when: Table, table: Table, rows: list[dict[str, Any]]) -> None:
    """The rows of a day once for each day."""
    texts = [one for one in rows[0] if isinstance(table.c[one].type, (Text, Json))]
    shapes = Table(
        f"bench_{table.name}", made, SchemaColumn("place", Integer),
        *(SchemaColumn(one, table.c[one].type) for one in texts), prefixes=["TEMPORARY"],
    )  # fmt: skip
    shapes.create(connection)
    connection.execute(
        insert(shapes), [{"place": at} | {one: row[one] for one in texts} for at, row in enumerate(rows)]
    )
    number = when.c.first + shapes.c.place

    def value(one: str) -> ColumnElement[Any]:
        if one in _KEYS:
            return number + 1
        if one not in texts:
            return literal(rows[0][one], BigInteger)
        shape: ColumnElement[Any] = type_coerce(shapes.c[one], Text)
        if any(_NUMBER in str(row[one]) for row in rows):
            shape = func.replace(shape, _NUMBER, cast(number, Text))
        if any(_DAY in str(row[one]) for row in rows):
            shape = func.replace(shape, _DAY, when.c.day)
        return shape

    columns = ["id", *(one for one in rows[0] if one != "id")]
    for index in table.indexes:
        index.drop(connection)
    last = connection.execute(select(func.max(when.c.first))).scalar_one()
    for first in range(0, last + 1, _DAYS_AT_ONCE * A_DAY):
        wanted = (
            select(*(value(one).label(one) for one in columns))
            .select_from(when.join(shapes, true()))
            .where(when.c.first >= first, when.c.first < first + _DAYS_AT_ONCE * A_DAY)
            .order_by(column("id"))
        )
        connection.execute(insert(table).from_select(columns, wanted))
    for index in table.indexes:
        index.create(connection)


@cache
def _templates() -> list[OrderedProcedure]:
    return list(_mapped())[:TEMPLATES]


def _mapped() -> Iterator[OrderedProcedure]:
    mapping: OrderMapping = load_mappings(Config(**gateway_process.settings("sqlite:///unused"))).orders
    for order in ris.orders(1, TEMPLATES):
        statements = mapping.read(parse(order.hl7()), received_at=now())
        yield from (one for one in statements if isinstance(one, OrderedProcedure))


def _rows(place: int, number: int | str, day: str) -> tuple[dict[str, Any], ...]:
    """Of patient, order, procedure and step at a place of its day, without keys."""
    template, at = _templates()[place % TEMPLATES], now()
    modality = COMMON if place else RARE
    hour = f"{7 + place // 20:02d}{place % 20 * 3:02d}00"
    step = template.steps[0].attributes | {
        "ScheduledProcedureStepID": f"S{number}", "Modality": modality,
        "ScheduledProcedureStepStartDate": day, "ScheduledProcedureStepStartTime": hour,
    }  # fmt: skip
    study_uid = f"2.25.7{number}"
    procedure = template.procedure | {"StudyInstanceUID": study_uid, "RequestedProcedureID": f"R{number}"}
    order = template.order | {"AccessionNumber": f"A{number}"}
    patient = template.patient | {"PatientID": f"P{number}", "PatientName": name(number)}
    return (
        {"patient_id": f"P{number}", "issuer": "RIS", "attributes": patient,
         "name_key": name_key(name(0)).replace("0", str(number)), "given_key": "ada", "updated_at": at},
        {
            "patient": None, "authority": "IMAGING", "accession": f"A{number}", "sender": "", "placer": f"P{number}",
            "placer_authority": "", "filler": f"F{number}", "filler_authority": "", "attributes": order,
            "event_at": at, "created_at": at, "updated_at": at,
        },
        {
            "order": None, "requested_procedure_id": f"R{number}", "study_uid": study_uid, "attributes": procedure,
            "derived": [], "event_at": 0,
        },
        {
            "procedure": None, "step_id": f"S{number}", "state": "SCHEDULED", "modality": modality, "station_ae": "",
            "start_date": day, "start_time": hour, "attributes": step, "derived": [], "updated_at": at,
        },
    )  # fmt: skip
