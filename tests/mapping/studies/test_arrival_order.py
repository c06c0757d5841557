"""Every public study of several instances that the tests install gives one resource, in whatever order it arrives."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pydicom
import pytest
from pydicom.data import get_testdata_files
from sqlalchemy import Connection

from gateway.journey.study_arrival.station import StudyArrival
from gateway.records.arrival import InstanceArrival
from gateway.records.study import Release, Shape
from gateway.store import Store, studies, study_arrivals
from gateway.wire.dimse import Caller, ExplainedFailure, StoreRequest
from tests.mapping.samples import SHIPPED

ORDERS = 20
CALLER = Caller("SCANNER", "GATEWAY", "127.0.0.1")


@cache
def arrivals() -> dict[str, list[InstanceArrival]]:
    """Study Instance UID -> what its files are kept as; one file for each SOP Instance UID."""
    station = StudyArrival(None, SHIPPED.studies.keywords, 0, lambda: 1)  # type: ignore[arg-type]
    found: dict[str, dict[str, InstanceArrival]] = defaultdict(dict)
    for path in sorted(map(Path, get_testdata_files("**/*"))):
        if not path.is_file():
            continue
        try:
            meta = pydicom.filereader.read_file_meta_info(path)
            with path.open("rb") as file:
                pydicom.filereader.read_preamble(file, force=False)
                pydicom.filereader._read_file_meta_info(file)
                data = file.read()
            syntax = str(meta.TransferSyntaxUID)
            request = StoreRequest(
                CALLER, str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID), syntax, data
            )
            arrival = station._read(request, 1)
        except (ExplainedFailure, pydicom.errors.InvalidDicomError, AttributeError, EOFError):
            continue  # no instance, or none that a C-STORE could bring
        found[arrival.study_uid][arrival.sop_uid] = arrival
    return {uid: list(members.values()) for uid, members in found.items() if len(members) > 1}


class _UndoError(Exception):
    def __init__(self, resources: list[Any]) -> None:
        super().__init__()
        self.resources = resources


def resources_of(connection: Connection, uid: str, instances: list[InstanceArrival]) -> list[Any]:
    for arrival in instances:
        study_arrivals.keep(connection, arrival)
    study = studies.load(connection, uid)
    assert study is not None
    return [SHIPPED.studies.build(study, shape=Shape(release)) for release in get_args(Release)]


async def of_order(store: Store, uid: str, instances: list[InstanceArrival]) -> list[Any]:
    def unit(connection: Connection) -> None:
        raise _UndoError(resources_of(connection, uid, instances))

    with pytest.raises(_UndoError) as undone:
        await store.write(unit)
    return undone.value.resources


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_order_of_arrival_gives_one_resource(store: Store) -> None:
    shuffled = random.Random(1)
    assert len(arrivals()) >= 3
    for uid, instances in arrivals().items():
        instances = sorted(instances, key=lambda one: one.sop_uid)
        first = await of_order(store, uid, instances)
        for _ in range(ORDERS):
            shuffled.shuffle(instances)
            assert await of_order(store, uid, instances) == first, uid
