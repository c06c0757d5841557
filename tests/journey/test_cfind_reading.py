"""A study is read at archives that retrieve nothing, leave attributes out, or ignore keys."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

import pytest

from gateway.errors import GatewayError, NeedsPerson, Unavailable
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.sources.cfind_reading import StudyReader
from gateway.journey.study_arrival.sources.dicom_retrieval import ByGet
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.records.arrival import HeaderRank
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy
from gateway.wire.dimse.requestor_operations import proposals
from gateway.wire.dimse.requestor_query import FIND
from gateway.wire.dimse.requestor_reuse import Requestor
from tests.mapping.samples import SHIPPED
from tests.peers.pynetdicom_query import Behaviour, pynetdicom_archive
from tests.peers.query_archives import made_up, uid_of

SENDER = Sender("archive")


async def read(
    behaviour: Behaviour,
    *,
    headers: Literal["query", "instance"] = "query",
    known: Mapping[str, HeaderRank] | None = None,
) -> tuple[list[Incoming], GatewayError | None]:
    """What of study 1 is brought, and how it ended."""

    async def here(_study: StudyInstanceUID) -> Mapping[str, HeaderRank]:
        return known or {}

    brought: list[Incoming] = []
    with pynetdicom_archive(behaviour) as archive:
        requestor = Requestor(archive.peer(), proposals(FIND))
        retrieval = ByGet(archive.peer(), 1 << 30)
        reader = StudyReader(
            requestor, retrieval, lambda: SHIPPED.studies.keywords, here, wanted=StudyFilter({}), headers=headers
        )
        try:
            async for some in reader.read(ListedStudy(StudyInstanceUID(uid_of(1))), SENDER):
                brought += some
        except GatewayError as error:
            return brought, error
        finally:
            await requestor.close()
    return brought, None


async def test_without_c_get_what_is_answered_to_queries_is_brought(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        brought, error = await read(Behaviour(made_up(1, series=2), get_status=None), headers="instance")
    assert ([one.rank for one in brought], error) == ([HeaderRank.QUERY] * 4, None)
    assert "answers to queries without headers of instances" in caplog.text


async def test_what_is_not_retrieved_is_brought_as_it_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        brought, error = await read(Behaviour(made_up(1, series=2), get_status=0xA702), headers="instance")
    assert ([one.rank for one in brought], error) == ([HeaderRank.QUERY] * 4, None)
    assert "Unavailable A702" in caplog.text


@pytest.mark.parametrize(
    ("status", "kind"), [(None, NeedsPerson), (0x0000, NeedsPerson), (0xA900, NeedsPerson), (0xA702, Unavailable)]
)
async def test_instances_of_unknown_classes_that_are_not_retrieved(
    status: int | None, kind: type[GatewayError]
) -> None:
    brought, error = await read(Behaviour(made_up(1), leaves_out=("SOPClassUID",), get_status=status))
    assert (brought, type(error)) == ([], kind)


async def test_series_of_other_studies_are_no_answer() -> None:
    behaviour = Behaviour([*made_up(1), *made_up(2)], ignores_keys=True)
    brought, _ = await read(behaviour)
    assert len(brought) == 2
    assert {keys.StudyInstanceUID for keys in behaviour.queries} == {uid_of(1)}


async def test_of_instances_that_are_here_nothing_is_brought_or_retrieved() -> None:
    study = made_up(1, instances=3)
    known = {str(one.SOPInstanceUID): HeaderRank.DATA_SET for one in study[:2]}
    first = min(str(one.SOPInstanceUID) for one in study)
    known[first] = HeaderRank.DATA_SET
    brought, error = await read(Behaviour(study, get_status=0xA702), headers="instance", known=known)
    assert (len(brought), error) == (3 - len(known), None)


async def test_a_study_that_is_gone_is_no_error() -> None:
    assert await read(Behaviour(made_up(2))) == ([], None)
