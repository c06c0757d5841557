"""S6: a study that has settled, from its rows to the bytes on the wire: how long, where, and how it grows."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from fhir.resources.R4B.imagingstudy import ImagingStudy
from pydicom import Dataset
from sqlalchemy import Connection

from bench import gateway_process
from bench.figures import Report, Table, at_most
from bench.sink import Sink
from gateway.assembly import process as app
from gateway.assembly.collector import spared
from gateway.assembly.mappings import load_mappings
from gateway.assembly.studies import study_settling
from gateway.clock import now
from gateway.config.tree import Config
from gateway.journey.study_arrival.reading import ALWAYS
from gateway.journey.study_settling.station import ImagingStudyStation
from gateway.mapping.attributes import from_dataset
from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.work import SETTLE, Work, WorkKind, delivery_to
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.studies import perform
from gateway.store import Store, outbox_claims, outbox_listing, settling, studies, study_arrivals
from gateway.store.settling import Wait
from gateway.web.console.rendering import warm_up as load_pages
from gateway.wire.fhir import FhirClient
from gateway.wire.fhir.validation import faults_of_imaging_study

IN_A_SERIES = 250
STUDY_UID = "2.25.424242"
LIMIT_SECONDS = 30.0
BY_FHIR_RESOURCES = "validate by fhir.resources only"
PARTS = (
    "read", "map", "validate", BY_FHIR_RESOURCES, "digest", "to outbox", "from outbox", "serialise", "PUT sent",
    "PUT to simulator",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Of one size: seconds of each round."""

    instances: int
    whole: list[float]
    """From the moment the study is due until the last byte of the PUT has arrived."""
    parts: dict[str, list[float]]
    body_bytes: int
    growth: float
    """Peak of resident memory over what it was before, MiB, while studies went through the gateway."""


def run(*, sizes: Sequence[int], rounds: int) -> Report:
    """Each size in a process of its own, so that one does not use the memory that another has taken."""
    measured = []
    for size in sizes:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            measured.append(pool.submit(measure, size, rounds).result())
    return _report(measured)


def measure(instances: int, rounds: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="bench-s6-") as folder:
        return asyncio.run(_measure(Path(folder), instances, rounds))


async def _measure(folder: Path, instances: int, rounds: int) -> Measured:
    async with Sink() as sink:
        config = Config(**gateway_process.settings(f"sqlite:///{folder}/gateway.db", sink.url))
        mapping = load_mappings(config).studies
        keep = Keeper(mapping.keywords, mapping.rules)
        async with app.running(config) as gateway:
            for first in range(0, instances, 500):
                await gateway.store.write(partial(keep, numbers=range(first, min(first + 500, instances))))
            # Loads and builds the models of FHIR.
            await asyncio.to_thread(faults_of_imaging_study, {"resourceType": "ImagingStudy"})
            # The gateway compiles pages beside its start, half a second of CPU: none of a study that settles later.
            await asyncio.to_thread(load_pages)
            async with spared():  # as `gateway run` does
                gateway_process.reset_peak()
                before, _ = gateway_process.memory()
                whole = [await _through(gateway.store, sink, keep, instances + number) for number in range(rounds + 1)]
                _, peak = gateway_process.memory()
        parts: dict[str, list[float]] = {name: [] for name in PARTS}
        async with (
            _station(config) as (store, station, client),
            EhrSimulator() as ehr,
            FhirClient(ehr.url, timeout_seconds=LIMIT_SECONDS) as simulator,
        ):
            first = instances + rounds + 1
            for number in range(first, first + rounds):
                await store.write(partial(keep, numbers=range(number, number + 1)))
                for name, seconds in (await _parts(store, station, config, client, simulator, sink)).items():
                    parts[name].append(seconds)
        return Measured(instances, whole[1:], parts, sink.body_bytes, peak - before)


class Keeper:
    """Puts instances of one CT study into the store, as station 5 would, without their headers' bytes."""

    def __init__(self, keywords: dict[str, frozenset[str]], rules: AgreementRules) -> None:
        self._rules = rules
        [dataset] = perform(_item(), series=1, instances=1)
        self._levels = {level: from_dataset(dataset, ALWAYS[level] | keywords[level]) for level in ALWAYS}

    def __call__(self, connection: Connection, *, numbers: range) -> None:
        for number in numbers:
            series = 1 + number // IN_A_SERIES
            series_uid, sop_uid = f"{STUDY_UID}.{series}", f"{STUDY_UID}.{series}.{number}"
            instance = self._levels["instance"] | {"SOPInstanceUID": sop_uid, "InstanceNumber": str(number)}
            arrival = InstanceArrival(
                study_uid=StudyInstanceUID(STUDY_UID),
                study=self._levels["study"],
                series_uid=SeriesInstanceUID(series_uid),
                series=self._levels["series"] | {"SeriesInstanceUID": series_uid},
                sop_uid=SOPInstanceUID(sop_uid),
                sop_class_uid=str(instance["SOPClassUID"]),
                instance=instance,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                header=zlib.compress(b""),
                digest=sop_uid.encode(),
                source_ae="CT1",
                received_at=now(),
            )
            study_arrivals.keep(connection, arrival, self._rules)


def _item() -> Dataset:
    """What a worklist would have said of the study."""
    step = Dataset()
    step.Modality = "CT"
    step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = "S1", "CT chest"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20300107", "080000"
    item = Dataset()
    item.PatientName, item.PatientID, item.IssuerOfPatientID = "Amberg^Ada", "P1", "RIS"
    item.PatientBirthDate, item.PatientSex = "19800102", "F"
    item.StudyInstanceUID, item.AccessionNumber = STUDY_UID, "A1"
    item.RequestedProcedureID, item.RequestedProcedureDescription = "R1", "CT chest"
    item.ReferringPhysicianName = "Quill^Nora"
    item.ScheduledProcedureStepSequence = [step]
    return item


async def _through(store: Store, sink: Sink, keep: Keeper, number: int) -> float:
    """One more instance comes, the study is due at once: seconds until its ImagingStudy has arrived."""
    due = now()

    def unit(connection: Connection) -> None:
        keep(connection, numbers=range(number, number + 1))
        settling.arrived(connection, StudyInstanceUID(STUDY_UID), Wait(0), now=due, is_stated=False)

    sink.arrived.clear()
    begun = time.perf_counter()
    await store.write(unit)
    await asyncio.wait_for(sink.arrived.wait(), LIMIT_SECONDS)
    taken = sink.arrived_at - begun
    # The delivery is not over before its outcome is written; the next round must not meet it.
    end = time.monotonic() + LIMIT_SECONDS
    while await store.read(partial(outbox_listing.listing, states=("pending", "leased"))):
        if time.monotonic() > end:
            raise RuntimeError("the delivery did not end")
        await asyncio.sleep(0.01)
    return taken


@asynccontextmanager
async def _station(config: Config) -> Any:
    """Store, station 6 and the EHR's client as the composition root makes them, without the worker."""
    store = await Store.open(config.database.url)
    try:
        async with FhirClient(config.ehrs[0].url, timeout_seconds=LIMIT_SECONDS) as client:
            yield store, study_settling(config, store, load_mappings(config), now), client
    finally:
        await store.close()


async def _parts(
    store: Store,
    station: ImagingStudyStation,
    config: Config,
    client: FhirClient,
    simulator: FhirClient,
    sink: Sink,
) -> dict[str, float]:
    """The same work, function by function, each alone."""
    watch = _Watch()
    study = await store.read(lambda connection: studies.load(connection, StudyInstanceUID(STUDY_UID)))
    assert study is not None
    watch.lap("read")
    mapping = load_mappings(config).studies
    watch.skip()
    built = mapping.build(study)
    watch.lap("map")
    if faults := faults_of_imaging_study(built):
        raise RuntimeError(f"not valid: {faults[:3]}")
    watch.lap("validate")
    ImagingStudy.model_validate(built)
    watch.lap(BY_FHIR_RESOURCES)
    hashlib.sha256(orjson.dumps(built, option=orjson.OPT_SORT_KEYS)).hexdigest()
    watch.lap("digest")
    await store.write(lambda connection: settling.ask(connection, StudyInstanceUID(STUDY_UID), now=now()))
    due = await store.write(partial(_claimed, kind=SETTLE))
    done = await station.settle(due)
    watch.skip()
    await store.write(lambda connection: outbox_claims.close_all(connection, [(due, done)], now=now()))
    watch.lap("to outbox")
    work = await store.write(partial(_claimed, kind=delivery_to(config.ehrs[0].name)))
    watch.lap("from outbox")
    orjson.dumps(work.payload["resource"])
    watch.lap("serialise")
    identifier = f"urn:dicom:uid|urn:oid:{STUDY_UID}"
    begun = time.perf_counter()
    await client.put_by_identifier(built, identifier)
    watch.seconds["PUT sent"] = sink.arrived_at - begun
    watch.skip()
    await simulator.put_by_identifier(built, identifier)
    watch.lap("PUT to simulator")
    await store.write(lambda connection: outbox_claims.succeed(connection, work, now=now(), outcome={}))
    return watch.seconds


def _claimed(connection: Connection, *, kind: WorkKind) -> Work:
    [work] = outbox_claims.claim(connection, kind=kind, now=now(), lease_micros=10**8, limit=1)
    return work


class _Watch:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        self.seconds[name] = time.perf_counter() - self._since
        self._since = time.perf_counter()

    def skip(self) -> None:
        self._since = time.perf_counter()


def _report(measured: Sequence[Measured]) -> Report:
    def line(title: str, value: Callable[[Measured], str]) -> tuple[str, ...]:
        return (title, *(value(one) for one in measured))

    def median_of(name: str) -> Callable[[Measured], str]:
        return lambda one: f"{statistics.median(one.parts[name]) * 1000:.1f}"

    def a_thousand(name: str) -> Callable[[Measured], str]:
        return lambda one: f"{statistics.median(one.parts[name]) / one.instances * 1e6:.1f}"

    rows = [
        line("due -> last byte of the PUT, ms", lambda one: f"{statistics.median(one.whole) * 1000:.1f}"),
        line("   worst round, ms", lambda one: f"{max(one.whole) * 1000:.1f}"),
        line("   per instance, us", lambda one: f"{statistics.median(one.whole) / one.instances * 1e6:.1f}"),
        *(line(f"{name}, alone, ms", median_of(name)) for name in PARTS),
        line("validate, ms per 1,000 instances", a_thousand("validate")),
        line("by fhir.resources only, ms per 1,000 instances", a_thousand(BY_FHIR_RESOURCES)),
        line("body, KiB", lambda one: f"{one.body_bytes / 1024:,.0f}"),
        line("resident memory, peak over before, MiB", lambda one: f"{one.growth:.1f}"),
    ]
    first, last = measured[0], measured[-1]
    ms = statistics.median(last.whole) * 1000
    slope = (statistics.median(last.whole) / last.instances) / (statistics.median(first.whole) / first.instances)
    header = ("S6", *(f"{one.instances:,}" for one in measured))
    notes = (
        "PUT sent: to a receiver that only reads. PUT to simulator: until EhrSimulator has checked it and answered.",
        "serialise is part of PUT; the whole way overlaps nothing: reads, builds, commits, claims, sends in turn.",
    )
    targets = [at_most(f"S6 {last.instances:,} instances, due -> on the wire", "ms", 100, ms)]
    if len(measured) > 1:
        name = f"S6 time per instance, {last.instances:,} against {first.instances:,}"
        targets.append(at_most(name, "x", 1.3, slope))
    return Report([Table("S6 A study that has settled (medians of the rounds)", header, rows, notes)], targets)
