"""S2: a worklist query with one match, in a small and in a large order book, less the C-ECHO beside it."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydicom import Dataset
from sqlalchemy import Connection, insert, text

from bench import gateway_process, postgres
from bench.dicom_client import Association, encoded
from bench.figures import Report, Table, at_most, milliseconds, percentile
from gateway import app
from gateway.clock import now
from gateway.config import Config
from gateway.mapping.attributes import to_dataset
from gateway.mapping.orders import OrderMapping
from gateway.records.matching import name_key
from gateway.records.order import OrderedProcedure
from gateway.simulators import ris
from gateway.store import Store
from gateway.store.schema import orders, patients, procedures, steps
from gateway.wire.hl7 import parse

A_DAY = 200
"""Steps of one day, among them one endoscopy: what a query by day and modality finds."""
RARE = "ES"
FIRST_DAY = date(2030, 1, 7)
BATCH = 10_000
MANY, MANY_ROUNDS = 1000, 5
"""Steps of five days, and how often they are asked for."""
TEMPLATES = 10
Book = tuple[str, int]
"""Database and number of steps."""
BETWEEN = 20
"""Questions of one kind before the next kind's turn."""
RETURNED = (
    "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "RequestedProcedureDescription", "RequestedProcedureID",
)  # fmt: skip
RETURNED_OF_STEP = (
    "Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepDescription", "ScheduledProcedureStepID",
)  # fmt: skip


def run(*, sizes: Sequence[int], questions: int, databases: Sequence[str]) -> Report:
    """`questions` of each kind in each order book, with as many echoes; the kinds and books take turns."""
    with ExitStack() as stack:
        associations: dict[Book, Association] = {}
        fills: dict[Book, float] = {}
        for database in databases:
            for size in sizes:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-s2-")))
                url = f"sqlite:///{folder}/gateway.db"
                if database == "PostgreSQL":
                    url, _ = stack.enter_context(postgres.database())
                fills[database, size] = filled(url, size)
                gateway = stack.enter_context(gateway_process.running(folder, gateway_process.settings(url)))
                associations[database, size] = stack.enter_context(Association(gateway.dicom_port))
        taken: dict[tuple[Book, str], list[float]] = {}
        for _ in range(-(-questions // BETWEEN)):
            for book, association in associations.items():
                for kind, identifier in _questions(book[1]).items():
                    times = taken.setdefault((book, kind), [])
                    times += [_ask(association, identifier) for _ in range(BETWEEN)]
        many = {}
        for book, association in associations.items():
            asked = encoded(asked_for(step={"ScheduledProcedureStepStartDate": _days(book[1])}))
            answers = [association.find(asked) for _ in range(MANY_ROUNDS)]
            if any(one.matches != MANY for one in answers):
                raise RuntimeError(f"{answers[0].matches} of {MANY} steps were answered")
            many[book] = statistics.median(MANY / one.seconds for one in answers)
        return _report(taken, sizes, databases, fills, many)


def filled(url: str, size: int) -> float:
    """Seconds that `fill` took."""
    begun = time.perf_counter()
    asyncio.run(fill(url, size))
    return time.perf_counter() - begun


def item(number: int) -> Dataset:
    """The item of a step as one data set."""
    patient, order, procedure, step = _rows(number, _first_templates()[number % TEMPLATES])
    return to_dataset({
        **patient["attributes"], **order["attributes"], **procedure["attributes"],
        "ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": "BENCH", **step["attributes"]}],
    })  # fmt: skip


@cache
def _first_templates() -> list[OrderedProcedure]:
    return list(_templates())[:TEMPLATES]


def _ask(association: Association, identifier: bytes | None) -> float:
    answer = association.echo() if identifier is None else association.find(identifier)
    if answer.status or (identifier is not None and answer.matches != 1):
        raise RuntimeError(f"answered {answer.status:04X} with {answer.matches} matches")
    return answer.seconds


def _questions(size: int) -> dict[str, bytes | None]:
    """Each finds one step in the middle of the book."""
    middle = _middle(size)
    return {
        "C-ECHO": None,
        "by accession number": encoded(asked_for(AccessionNumber=f"A{middle}")),
        "by Patient ID": encoded(asked_for(PatientID=f"P{middle}")),
        "by day and modality": encoded(
            asked_for(step={"ScheduledProcedureStepStartDate": _day(middle), "Modality": RARE})
        ),
        "by patient name": encoded(asked_for(PatientName=f"{_name(middle).split('^')[0]}^*")),
    }


def _middle(size: int) -> int:
    return size // 2 // A_DAY * A_DAY


def _name(number: int) -> str:
    return f"Person{number}^Ada"


def asked_for(step: dict[str, str] | None = None, **keys: str) -> Dataset:
    """What a modality asks with: keys to match, the rest to be returned."""
    inner = Dataset()
    for keyword in RETURNED_OF_STEP:
        setattr(inner, keyword, (step or {}).get(keyword, ""))
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword in RETURNED:
        setattr(identifier, keyword, keys.get(keyword, ""))
    identifier.ScheduledProcedureStepSequence = [inner]
    return identifier


async def fill(url: str, size: int) -> None:
    """Put `size` scheduled steps, each with its own patient, order and procedure, into an empty store.

    Straight into the tables in transactions of `BATCH`; what the attributes say comes from mapped messages of the
    RIS simulator, with the identifying values replaced.
    """
    templates = _first_templates()
    store = await Store.open(url)
    try:
        for first in range(0, size, BATCH):
            numbers = range(first, min(first + BATCH, size))
            await store.write(lambda connection, numbers=numbers: _insert(connection, numbers, templates))  # type: ignore[misc]
        # As the database does by itself in time.
        await store.write(lambda connection: connection.execute(text("ANALYZE")))
    finally:
        await store.close()


def _templates() -> Iterator[OrderedProcedure]:
    mapping: OrderMapping = app.load_mappings(Config(**gateway_process.settings("sqlite:///unused"))).orders
    for order in ris.orders(1, TEMPLATES):
        statements = mapping.read(parse(order.hl7()), received_at=now())
        yield from (one for one in statements if isinstance(one, OrderedProcedure))


def _insert(connection: Connection, numbers: range, templates: list[OrderedProcedure]) -> None:
    rows = [_rows(number, templates[number % TEMPLATES]) for number in numbers]
    for position, table in enumerate((patients, orders, procedures, steps)):
        connection.execute(insert(table), [row[position] for row in rows])


def _rows(number: int, template: OrderedProcedure) -> tuple[dict[str, Any], ...]:
    key, at = number + 1, now()
    modality = RARE if number % A_DAY == 0 else str(template.steps[0].attributes["Modality"])
    time = f"{7 + number % A_DAY // 20:02d}{number % 20 * 3:02d}00"
    step = template.steps[0].attributes | {
        "ScheduledProcedureStepID": f"S{number}", "Modality": modality,
        "ScheduledProcedureStepStartDate": _day(number), "ScheduledProcedureStepStartTime": time,
    }  # fmt: skip
    procedure = template.procedure | {
        "StudyInstanceUID": f"2.25.{10**20 + number}",
        "RequestedProcedureID": f"R{number}",
    }
    order = template.order | {"AccessionNumber": f"A{number}"}
    patient = template.patient | {"PatientID": f"P{number}", "PatientName": _name(number)}
    return (
        {"id": key, "patient_id": f"P{number}", "issuer": "RIS", "attributes": patient,
         "name_key": name_key(_name(number)), "updated_at": at},
        {
            "id": key, "patient": key, "authority": "IMAGING", "accession": f"A{number}", "placer": f"P{number}",
            "filler": f"F{number}", "attributes": order, "event_at": at, "created_at": at, "updated_at": at,
        },
        {
            "id": key, "order": key, "requested_procedure_id": f"R{number}",
            "study_uid": procedure["StudyInstanceUID"], "attributes": procedure,
        },
        {
            "id": key, "procedure": key, "step_id": f"S{number}", "state": "SCHEDULED", "modality": modality,
            "station_ae": "", "start_date": _day(number), "start_time": time, "attributes": step, "updated_at": at,
        },
    )  # fmt: skip


def _day(number: int) -> str:
    return f"{FIRST_DAY + timedelta(days=number // A_DAY):%Y%m%d}"


def _days(size: int) -> str:
    """Five days in the middle of the book, or all of a book of a thousand steps."""
    first = _middle(size) if size > MANY else 0
    return f"{_day(first)}-{_day(first + MANY - 1)}"


def _report(
    taken: dict[tuple[Book, str], list[float]],
    sizes: Sequence[int],
    databases: Sequence[str],
    fills: dict[Book, float],
    many: dict[Book, float],
) -> Report:
    medians = {key: statistics.median(times) for key, times in taken.items()}
    kinds = [kind for kind in _questions(sizes[0]) if kind != "C-ECHO"]
    rows, targets = [], []
    over: dict[tuple[Book, str], float] = {}
    for (book, kind), times in taken.items():
        over[book, kind] = medians[book, kind] - medians[book, "C-ECHO"]
        more = "" if kind == "C-ECHO" else milliseconds(over[book, kind])
        name = f"{book[0]}, {book[1]:,} steps, {kind}"
        rows.append((name, milliseconds(medians[book, kind]), milliseconds(percentile(times, 99)), more))
    for database in databases:
        largest, smallest = (database, sizes[-1]), (database, sizes[0])
        worst = max(kinds, key=lambda kind: over[largest, kind])
        name = f"S2 query less echo, {database}, {sizes[-1]:,} steps, {worst}"
        targets.append(at_most(name, "ms", 3, over[largest, worst] * 1000))
        if len(sizes) > 1:
            growth = {kind: over[largest, kind] / over[smallest, kind] for kind in kinds}
            steepest = max(growth, key=lambda kind: growth[kind])
            name = f"S2 growth, {database}, {sizes[0]:,} -> {sizes[-1]:,} steps, {steepest}"
            targets.append(at_most(name, "x", 1.3, growth[steepest]))
    header = ("S2", "p50 ms", "p99 ms", "p50 less C-ECHO, ms")
    single = Table("S2 Worklist query with one match, on one association", header, rows)
    of_many = [(f"{book[0]}, {book[1]:,} steps", f"{rate:,.0f}", f"{fills[book]:.0f}") for book, rate in many.items()]
    columns = ("", "responses/s", "seconds to fill the book")
    whole = Table(f"{MANY:,} matches of five days, median of {MANY_ROUNDS}", columns, of_many)
    return Report([single, whole], targets)
