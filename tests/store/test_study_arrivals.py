"""An instance that comes again, from this source or another: which header is kept, and whether its study changed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from sqlalchemy import Connection, select

from gateway.records.arrival import HeaderRank, InstanceArrival
from gateway.records.finding import Finding
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.store import Store, studies, study_arrivals
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
    new = [study_arrivals.keep(connection, one).is_new for one in arrivals]
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
    assert (new, header, revision) == (
        [True, True, change in ("instance", "sop class", "findings")],
        b"first",
        2 + new[-1],
    )
