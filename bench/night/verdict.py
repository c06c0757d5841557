"""What is there at the end of a night, held against what was acknowledged."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from pydicom import Dataset
from sqlalchemy import Engine, text

from bench.night.model import Model
from bench.night.node import Node
from gateway.simulators import modality
from gateway.simulators.ehr import EhrSimulator
from gateway.store.engine import open_engine

QUERY_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Each list names what is wrong; all are empty after a good night."""

    lost: list[str]
    doubled: list[str]
    stale: list[str]
    waiting: list[str]
    """Work that is not done, or parked."""


async def verdict(model: Model, nodes: list[Node], ehr: EhrSimulator, database_url: str) -> Verdict:
    """Ask every node for its worklist, the EHR for its studies, and the database for what it holds."""
    lost, doubled, stale = list(model.given_up), [], []
    wanted = model.worklist()
    for node in nodes:
        items = await modality.query("127.0.0.1", node.dicom, timeout=QUERY_SECONDS)
        shown = Counter(str(item.AccessionNumber) for item in items)
        lost += [f"{number} is not in the worklist of {node.name}" for number in sorted(wanted.keys() - shown.keys())]
        doubled += [
            f"{number} is {times} times in the worklist of {node.name}" for number, times in shown.items() if times > 1
        ]
        stale += [
            f"{number} is still in the worklist of {node.name}" for number in sorted(shown.keys() - wanted.keys())
        ]
        starts = {str(item.AccessionNumber): _start(item) for item in items}
        stale += [
            f"{number} begins at {starts[number]} in the worklist of {node.name}, not {start}"
            for number, start in wanted.items()
            if starts.get(number, start) != start
        ]
    engine = open_engine(database_url)
    try:
        held, waiting = _kept(engine)
    finally:
        engine.dispose()
    lost += [f"{number} had its AA and is not kept" for number in sorted(model.orders.keys() - held.keys())]
    doubled += [f"{number} is kept {times} times" for number, times in held.items() if times > 1]
    _studies(model, ehr, lost, doubled, stale)
    return Verdict(lost, doubled, stale, waiting)


def _start(item: Dataset) -> str:
    step = item.ScheduledProcedureStepSequence[0]
    return f"{step.ScheduledProcedureStepStartDate}{step.ScheduledProcedureStepStartTime}"[:14]


def _kept(engine: Engine) -> tuple[Counter[str], list[str]]:
    """Orders by accession number; work that is pending, leased, parked or rejected."""
    with engine.connect().execution_options(reading=True) as connection:
        held = Counter(str(number) for (number,) in connection.execute(text("SELECT accession FROM orders")))
        rows = connection.execute(
            text(
                "SELECT kind, state, cause_text, count(*), min(due_at) FROM outbox WHERE state IN "
                "('pending', 'leased', 'parked', 'rejected') AND (state IN ('parked', 'rejected') "
                # A look at the EHR that is due minutes later, by design.
                "OR kind NOT LIKE 'verify:%') GROUP BY kind, state, cause_text ORDER BY kind, state"
            )
        ).all()
    return held, [
        f"{number} of {kind} are {state}, due in {due / 1e6 - time.time():.0f} s ({why})"
        for kind, state, why, number, due in rows
    ]


def _studies(model: Model, ehr: EhrSimulator, lost: list[str], doubled: list[str], stale: list[str]) -> None:
    resources: dict[str, list[dict[str, Any]]] = {}
    for resource in ehr.resources("ImagingStudy"):
        uids = [one["value"] for one in resource["identifier"] if one.get("system") == "urn:dicom:uid"]
        resources.setdefault(uids[0].removeprefix("urn:oid:"), []).append(resource)
    for uid, study in model.studies.items():
        found = resources.get(uid, [])
        if study.instances and not found:
            lost.append(f"study {uid} is not in the EHR")
        if len(found) > 1:
            doubled.append(f"study {uid} is {len(found)} times in the EHR")
        stale += [
            f"study {uid} has {one.get('numberOfInstances')} instances in the EHR, not {study.instances}"
            for one in found
            if one.get("numberOfInstances") != study.instances
        ]
