"""Evidence of completeness in the database."""

from __future__ import annotations

from functools import partial

from gateway.records.completeness import Evidence, EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import Store, completeness

STUDY = StudyInstanceUID("1.2.3")
NAMED = Evidence(EvidenceKind.MPPS_COMPLETED, "1.2.4", 5, frozenset({"1.2.3.1", "1.2.3.2"}))
COUNTED = Evidence(EvidenceKind.ARCHIVE_COUNTS, "pacs", 6, series=None, instances=0)


async def test_what_a_source_states_takes_the_place_of_what_it_stated_before(store: Store) -> None:
    later = Evidence(EvidenceKind.ARCHIVE_COUNTS, "pacs", 9, series=2, instances=7)
    for one, is_new in ((NAMED, True), (COUNTED, True), (NAMED, False), (later, True)):
        assert await store.write(partial(completeness.record, study_uid=STUDY, evidence=one)) is is_new
    assert await store.read(lambda c: completeness.of_study(c, STUDY)) == [NAMED, later]
    assert await store.read(lambda c: completeness.of_study(c, StudyInstanceUID("1.2.30"))) == []


async def test_a_count_of_none_is_not_a_count_that_is_absent(store: Store) -> None:
    await store.write(lambda c: completeness.record(c, STUDY, COUNTED))
    [kept] = await store.read(lambda c: completeness.of_study(c, STUDY))
    assert (kept.series, kept.instances) == (None, 0)
