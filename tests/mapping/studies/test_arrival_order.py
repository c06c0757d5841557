"""Every public study of several instances that the tests install gives one resource, in whatever order it arrives."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest
from sqlalchemy import Connection

from gateway.records.arrival import InstanceArrival
from gateway.records.arrived_study import arrived_study
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study import Release, Shape, Study
from gateway.store import Store, studies, study_arrivals
from tests.mapping.samples import SHIPPED
from tests.mapping.studies.public_studies import arrivals

ORDERS = {"sqlite": 5, "postgresql": 1}


class _UndoError(Exception):
    def __init__(self, resources: list[Any]) -> None:
        super().__init__()
        self.resources = resources


def resources_of(connection: Connection, uid: str, instances: list[InstanceArrival]) -> list[Any]:
    for arrival in instances:
        study_arrivals.keep(connection, arrival)
    study = studies.load(connection, StudyInstanceUID(uid))
    assert study is not None
    return built(study)


def built(study: Study) -> list[Any]:
    """The resources of each release, and what they do not say."""
    findings: list[Finding] = []
    shapes = [Shape(release) for release in get_args(Release)]
    return [*(SHIPPED.studies.build(study, shape=shape, findings=findings) for shape in shapes), findings]


async def of_order(store: Store, uid: str, instances: list[InstanceArrival]) -> list[Any]:
    def unit(connection: Connection) -> None:
        raise _UndoError(resources_of(connection, uid, instances))

    with pytest.raises(_UndoError) as undone:
        await store.write(unit)
    return undone.value.resources


async def test_every_order_of_arrival_gives_one_resource(store: Store, database_url: str) -> None:
    orders = ORDERS[database_url.partition("+")[0].partition(":")[0]]
    shuffled = random.Random(1)
    several = {uid: instances for uid, instances in arrivals().items() if len(instances) > 1}
    assert len(several) >= 3
    for uid, instances in several.items():
        instances = sorted(instances, key=lambda one: one.sop_uid)
        first = await of_order(store, uid, instances)
        assert built(arrived_study(StudyInstanceUID(uid), instances)) == first, "what `gateway explain` shows"
        for _ in range(orders):
            shuffled.shuffle(instances)
            assert await of_order(store, uid, instances) == first, uid
