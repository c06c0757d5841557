"""An instance that comes again, from this source or another: which header is kept, and whether its study changed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from sqlalchemy import Connection, select

from gateway.records.agreement import AgreementRule, AgreementRules, Rule
from gateway.records.arrival import HeaderRank, InstanceArrival
from gateway.records.finding import Finding
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.rejection import TO_BE_READ_AGAIN
from gateway.store import Store, studies, study_arrivals, study_rereading
from gateway.store.schema import instances

QUERY, METADATA, DATA_SET = HeaderRank
FIRST = InstanceArrival(
    study_uid=StudyInstanceUID("1.2.3"),
    study={"StudyInstanceUID": "1.2.3", "PatientID": "P1"},
    series_uid=SeriesInstanceUID("1.2.4"),
    series={"SeriesInstanceUID": "1.2.4", "Modality": "CT"},
    sop_uid=SOPInstanceUID("1.2.5"),
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    instance={"SOPInstanceUID": "1.2.5", "InstanceNumber": "1"},
    transfer_syntax_uid="1.2.840.10008.1.2",
    header=b"first",
    digest=b"first",
    source_ae="SCANNER",
    received_at=1,
)
OTHER_BYTES = replace(FIRST, header=b"second", digest=b"second", transfer_syntax_uid="1.2.840.10008.1.2.1")
CHANGES = {
    "study": replace(OTHER_BYTES, study={**FIRST.study, "PatientName": "DOE^JANE"}),
    "series": replace(OTHER_BYTES, series={**FIRST.series, "BodyPartExamined": "HEAD"}),
    "instance": replace(OTHER_BYTES, instance={**FIRST.instance, "NumberOfFrames": "7"}),
    "sop class": replace(OTHER_BYTES, sop_class_uid="1.2.840.10008.5.1.4.1.1.4"),
    "findings": replace(OTHER_BYTES, findings=(Finding("(0008,0050)", "cannot be read"),)),
}


def kept(connection: Connection, *arrivals: InstanceArrival) -> tuple[list[bool], bytes, int, int]:
    """Which were new, the header that is kept with its rank, and the revision of the study."""
    new = [study_arrivals.keep(connection, one, AgreementRules()).is_new for one in arrivals]
    row = connection.execute(select(instances.c.header, instances.c.header_rank)).one()
    study = studies.get(connection, FIRST.study_uid)
    assert study is not None
    return new, row.header, row.header_rank, study["revision"]


@pytest.mark.parametrize(("held", "comes"), list(product(HeaderRank, HeaderRank)), ids=str)
async def test_a_header_is_replaced_by_none_that_gives_less(store: Store, held: HeaderRank, comes: HeaderRank) -> None:
    more = replace(CHANGES["study"], rank=comes)
    counts = comes >= held
    expected = ([True, counts], b"second" if counts else b"first", comes if counts else held, 1 + counts)
    assert await store.write(lambda connection: kept(connection, replace(FIRST, rank=held), more)) == expected


@pytest.mark.parametrize("comes", list(HeaderRank), ids=str)
async def test_the_same_attributes_in_other_bytes_change_nothing(store: Store, comes: HeaderRank) -> None:
    """Such as by C-STORE in Implicit VR, by STOW-RS in Explicit VR, and as metadata."""
    same = replace(OTHER_BYTES, rank=comes)
    new, header, rank, revision = await store.write(lambda one: kept(one, replace(FIRST, rank=METADATA), same, same))
    assert (new, revision) == ([True, False, False], 1)
    assert (header, rank) == ((b"second", comes) if comes >= METADATA else (b"first", METADATA))


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_is_read_otherwise_is_a_revision(store: Store, change: str) -> None:
    new, header, _, revision = await store.write(lambda connection: kept(connection, FIRST, CHANGES[change], FIRST))
    assert (new, header, revision) == ([True, True, True], b"first", 3)


SECOND = replace(FIRST, sop_uid=SOPInstanceUID("1.2.6"), digest=b"of another")
RULES = AgreementRules(
    series={one: AgreementRule(Rule.LIST, ("OperatorsName",)) for one in ("OperatorsName",)},
)


def with_operator(one: InstanceArrival, name: str) -> InstanceArrival:
    return replace(one, digest=one.digest + name.encode(), series={**one.series, "OperatorsName": name})


def standing(connection: Connection, *arrivals: InstanceArrival, rules: AgreementRules = RULES) -> tuple[object, bool]:
    """The operators of the series, and whether the study is to be read again."""
    for one in arrivals:
        study_arrivals.keep(connection, one, rules)
    study = studies.load(connection, FIRST.study_uid)
    assert study is not None
    return study.series[0].attributes.get("OperatorsName"), study.rejected == TO_BE_READ_AGAIN


async def test_instances_with_other_values_count_by_their_rule(store: Store) -> None:
    both = with_operator(SECOND, "B"), with_operator(FIRST, "A")
    assert await store.write(lambda connection: standing(connection, *both)) == (["A", "B"], False)


async def test_a_study_is_read_again_when_what_counted_is_no_longer_stated(store: Store) -> None:
    sent = with_operator(FIRST, "A"), with_operator(SECOND, "B"), with_operator(FIRST, "C")
    assert (await store.write(lambda connection: standing(connection, *sent)))[1]

    def again(connection: Connection) -> tuple[object, bool]:
        row = studies.get(connection, FIRST.study_uid)
        assert row is not None
        last = {one.sop_uid: one for one in sent}
        members = connection.execute(select(instances.c.id, instances.c.sop_uid, instances.c.digest)).all()
        read = {one.id: (one.digest, last[one.sop_uid].levels) for one in members}
        assert study_rereading.say_again(connection, FIRST.study_uid, row["id"], read, RULES)
        return standing(connection)

    assert await store.write(again) == (["C", "B"], False)


async def test_a_row_that_other_rules_have_made_is_read_again(store: Store) -> None:
    def unit(connection: Connection) -> tuple[object, bool]:
        assert standing(connection, with_operator(FIRST, "A"), rules=AgreementRules()) == ("A", False)
        return standing(connection, with_operator(SECOND, "B"))

    assert (await store.write(unit))[1]
