"""Every public study of several instances that the tests install gives one resource, in whatever order it arrives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from sqlalchemy import Connection

from gateway.journey.study_arrival.reading import InstanceReader
from gateway.records.agreement import (
    NOTHING,
    AgreementRule,
    AgreementRules,
    Rule,
    Rules,
    Stating,
    of_levels,
    together,
    with_one_more,
)
from gateway.records.arrival import InstanceArrival
from gateway.records.arrived_study import arrived_study
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.study import Release, Shape, Study
from gateway.store import Store, studies, study_arrivals, study_rereading
from tests.mapping.samples import SHIPPED
from tests.mapping.studies.public_studies import arrivals

ORDERS = {"sqlite": 3, "postgresql": 1}
RULES = SHIPPED.studies.rules
READER = InstanceReader(SHIPPED.studies.keywords)


class _UndoError(Exception):
    def __init__(self, resources: list[Any]) -> None:
        super().__init__()
        self.resources = resources


def resources_of(connection: Connection, uid: str, instances: list[InstanceArrival]) -> list[Any]:
    for arrival in instances:
        study_arrivals.keep(connection, arrival, RULES)
    study = studies.load(connection, StudyInstanceUID(uid))
    assert study is not None
    if study.rejected < 0:
        row = studies.get(connection, study.uid)
        assert row is not None
        read = READER.read_again(studies.headers(connection, row["id"]))
        assert study_rereading.say_again(connection, study.uid, row["id"], read, RULES)
        study = studies.load(connection, study.uid)
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


def several() -> Iterator[tuple[str, list[InstanceArrival]]]:
    found = [(uid, sorted(one, key=lambda each: each.sop_uid)) for uid, one in arrivals().items() if len(one) > 1]
    assert len(found) >= 3
    yield from found


def sent(chance: random.Random, instances: list[InstanceArrival]) -> list[InstanceArrival]:
    """In any order, some of them twice, and some with other contents before."""
    mixed = [*instances, *chance.choices(instances, k=2)]
    chance.shuffle(mixed)
    begun = set()
    for one in [*mixed]:
        if one.sop_uid not in begun and chance.random() < 0.3:
            mixed.insert(mixed.index(one), formerly(chance, one))
        begun.add(one.sop_uid)
    return mixed


def formerly(chance: random.Random, one: InstanceArrival) -> InstanceArrival:
    """An instance with some attributes fewer, and others that were corrected since."""
    study, series = (_formerly(chance, attributes) for attributes in (one.study, one.series))
    return replace(one, digest=b"before", study=study, series=series)


def _formerly(chance: random.Random, attributes: Attributes) -> Attributes:
    kept = {keyword: value for keyword, value in attributes.items() if chance.random() < 0.7}
    return {
        keyword: "R" if isinstance(value, str) and chance.random() < 0.3 else value for keyword, value in kept.items()
    }


async def test_every_order_of_arrival_gives_one_resource(store: Store, database_url: str) -> None:
    orders = ORDERS[database_url.partition("+")[0].partition(":")[0]]
    chance = random.Random(1)
    for uid, instances in several():
        first = await of_order(store, uid, instances)
        explained = arrived_study(StudyInstanceUID(uid), instances, RULES).study
        assert built(explained) == first, "what `gateway explain` shows"
        for _ in range(orders):
            assert await of_order(store, uid, sent(chance, instances)) == first, uid


def all_by(rule: Rule, instances: list[InstanceArrival]) -> AgreementRules:
    """A rule for every attribute: by itself, and where it is not a list also with the next one."""

    def rules(keywords: set[str], number: int) -> Rules:
        names = sorted(keywords)
        groups = [tuple(names[at : at + number]) for at in range(0, len(names), number)]
        return {keyword: AgreementRule(rule, group) for group in groups for keyword in group}

    study, series = ({keyword for one in instances for keyword in one.levels[level]} for level in ("study", "series"))
    return AgreementRules(study=rules(study, 1), series=rules(series, 1 if rule is Rule.LIST else 2))


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_gives_one_result_in_every_order(rule: Rule) -> None:
    chance, read_again, orders = random.Random(rule.value), 0, 0
    for _, instances in several():
        rules = all_by(rule, instances)
        of_series = [one for one in instances if one.series_uid == instances[0].series_uid]
        for level, of_level, members in (("study", rules.study, instances), ("series", rules.series, of_series)):
            whole = together(_stating(level, members, rules), of_level)
            for _ in range(4):
                held, is_known = NOTHING, True
                for one in _stating(level, sent(chance, members), rules):
                    held, must_be_read = with_one_more(held, one, of_level)
                    is_known = is_known and not must_be_read
                assert not is_known or held.attributes == whole.attributes
                read_again, orders = read_again + (not is_known), orders + 1
                held = NOTHING
                for one in _stating(level, chance.sample(members, len(members)), rules):
                    held, must_be_read = with_one_more(held, one, of_level)
                    assert not must_be_read
                assert held.attributes == whole.attributes
    assert 0 < read_again < orders


def _stating(level: str, members: list[InstanceArrival], rules: AgreementRules) -> list[Stating]:
    return [of_levels(one.sop_uid, one.levels, rules)[level] for one in members]
