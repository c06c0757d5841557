"""S2: a worklist query with one match, in a small and in a large order book, less the C-ECHO beside it."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydicom import Dataset
from sqlalchemy import Connection, insert

from bench import gateway_process
from bench.dicom_client import Association, encoded
from bench.figures import Report, Table, at_most, milliseconds, percentile
from gateway import app
from gateway.clock import now
from gateway.config import Config
from gateway.mapping.orders import OrderMapping
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
SCANS = 5
"""Questions by patient name, which no index answers; in the smallest book only."""
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


def run(*, sizes: Sequence[int], questions: int) -> Report:
    """`questions` of each kind in each order book, with as many echoes; the kinds and books take turns."""
    with ExitStack() as stack:
        associations = {}
        for size in sizes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-s2-")))
            url = f"sqlite:///{folder}/gateway.db"
            asyncio.run(fill(url, size))
            gateway = stack.enter_context(gateway_process.running(folder, gateway_process.settings(url)))
            associations[size] = stack.enter_context(Association(gateway.dicom_port))
        taken: dict[tuple[int, str], list[float]] = {}
        for _ in range(-(-questions // BETWEEN)):
            for size, association in associations.items():
                for kind, identifier in _questions(size).items():
                    times = taken.setdefault((size, kind), [])
                    times += [_ask(association, identifier) for _ in range(BETWEEN)]
        names = encoded(asked_for(PatientName=f"{_name(_middle(sizes[0])).split('^')[0]}^*"))
        scanned = [_ask(associations[sizes[0]], names) for _ in range(SCANS)]
        return _report(taken, sizes, scanned)


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
    templates = list(_templates())
    store = await Store.open(url)
    try:
        for first in range(0, size, BATCH):
            numbers = range(first, min(first + BATCH, size))
            await store.write(lambda connection, numbers=numbers: _insert(connection, numbers, templates))  # type: ignore[misc]
    finally:
        await store.close()


def _templates() -> Iterator[OrderedProcedure]:
    mapping: OrderMapping = app.load_mappings(Config(**gateway_process.settings("sqlite:///unused"))).orders
    for order in ris.orders(1, 10):
        statements = mapping.read(parse(order.hl7()), received_at=now())
        yield from (one for one in statements if isinstance(one, OrderedProcedure))


def _insert(connection: Connection, numbers: range, templates: list[OrderedProcedure]) -> None:
    rows = [_rows(number, templates[number % len(templates)]) for number in numbers]
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
        {"id": key, "patient_id": f"P{number}", "issuer": "RIS", "attributes": patient, "updated_at": at},
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


def _report(taken: dict[tuple[int, str], list[float]], sizes: Sequence[int], scanned: Sequence[float]) -> Report:
    medians = {key: statistics.median(times) for key, times in taken.items()}
    kinds = [kind for kind in _questions(sizes[0]) if kind != "C-ECHO"]
    rows = []
    over: dict[tuple[int, str], float] = {}
    for (size, kind), times in taken.items():
        over[size, kind] = medians[size, kind] - medians[size, "C-ECHO"]
        more = "" if kind == "C-ECHO" else milliseconds(over[size, kind])
        rows.append(
            (f"{size:,} steps, {kind}", milliseconds(medians[size, kind]), milliseconds(percentile(times, 99)), more)
        )
    p50, p99 = statistics.median(scanned), percentile(scanned, 99)
    more = milliseconds(p50 - medians[sizes[0], "C-ECHO"])
    rows.append((f"{sizes[0]:,} steps, by patient name alone", milliseconds(p50), milliseconds(p99), more))
    worst = max(kinds, key=lambda kind: over[sizes[-1], kind])
    targets = [at_most(f"S2 query less echo, {sizes[-1]:,} steps, {worst}", "ms", 3, over[sizes[-1], worst] * 1000)]
    if len(sizes) > 1:
        growth = {kind: over[sizes[-1], kind] / over[sizes[0], kind] for kind in kinds}
        steepest = max(growth, key=lambda kind: growth[kind])
        name = f"S2 growth {sizes[0]:,} -> {sizes[-1]:,} steps, {steepest}"
        targets.append(at_most(name, "x", 1.3, growth[steepest]))
    title = "S2 Worklist query with one match, on one association"
    notes = ("The targets are judged by the keys that an index answers.",)
    return Report([Table(title, ("S2", "p50 ms", "p99 ms", "p50 less C-ECHO, ms"), rows, notes)], targets)
