"""Revisions of a resource: which write gives way, and which of several resources is ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from gateway.errors import Unavailable
from gateway.wire.fhir import FhirClient, Refused, Resource
from gateway.wire.fhir.capability import Way
from gateway.wire.fhir.sameness import says_the_same
from gateway.wire.fhir.standing import EXTENSION, revision_of, with_revision, without_revision
from gateway.wire.fhir.validation import faults_of
from gateway.wire.fhir.write import Duplicates
from gateway.wire.fhir.writer import FhirWriter
from tests.wire.fhir.forgetful import ForgetfulServer
from tests.wire.fhir.test_writer import UID, serving, study


@dataclass
class Row:
    """A write with `revision`; `later`: the revisions that are later ones of ours; `refusals`: checks that fail."""

    revision: int
    later: frozenset[int] = frozenset()
    refused: bool = False
    asked: list[int] = field(default_factory=list)

    async def confirm(self) -> None:
        if self.refused:
            raise Unavailable("another has it")

    async def is_later(self, revision: int) -> bool:
        self.asked.append(revision)
        return revision in self.later


@pytest.fixture
async def server() -> ForgetfulServer:
    return ForgetfulServer()


@pytest.fixture
async def client(server: ForgetfulServer) -> AsyncIterator[FhirClient]:
    async with serving(*server.routes) as url, FhirClient(url, timeout_seconds=60) as one:
        yield one


@pytest.mark.parametrize("way", Way)
async def test_a_write_gives_way_to_a_later_one_of_ours(server: ForgetfulServer, client: FhirClient, way: Way) -> None:
    writer = FhirWriter(client, way=way)
    made = await writer.write(study("third"), UID, standing=Row(3))
    old = Row(2, later=frozenset({3}))
    left = await writer.write(study("second"), UID, known=made.id, standing=old)
    assert (left.note, old.asked) == ("a later version was there", [3])
    [held] = server.held().values()
    assert (held["description"], revision_of(held)) == ("third", 3)
    # The number of another history tells nothing: of before a backup was restored, or of another gateway.
    await writer.write(study("second"), UID, known=made.id, standing=Row(2))
    [held] = server.held().values()
    assert (held["description"], revision_of(held)) == ("second", 2)


@pytest.mark.parametrize("status", [304, 409, 412])
async def test_a_first_write_that_meets_a_resource_reads_it(
    server: ForgetfulServer, client: FhirClient, status: int
) -> None:
    """304: what LinuxForHealth FHIR answers with `ifNoneMatchReturnsNotModified`."""
    server.held_status, server.lags = status, True
    await FhirWriter(client, way=Way.CLIENT_ID).write(study("first"), UID, standing=Row(1))
    late = await FhirWriter(client, way=Way.CLIENT_ID).write(study("second"), UID, standing=Row(2))
    assert late.was_contested
    [held] = server.held().values()
    assert (held["description"], revision_of(held)) == ("second", 2)


@pytest.mark.parametrize("way", Way)
async def test_a_server_that_refuses_the_extension_gets_resources_without_it(
    server: ForgetfulServer, client: FhirClient, way: Way
) -> None:
    server.takes_extensions = False
    writer = FhirWriter(client, way=way)
    made = await writer.write(study("first"), UID, standing=Row(1))
    asked = len(server.writes)
    await writer.write(study("second"), UID, known=made.id, standing=Row(2))
    assert len(server.writes) == asked + 1, "what it refuses is remembered"
    [held] = server.held().values()
    assert (held["description"], revision_of(held)) == ("second", 0)
    # What it refuses for an extension of the resource's own is refused.
    with pytest.raises(Refused):
        await writer.write({**study("third"), "extension": [{"url": "urn:x"}]}, UID, known=made.id, standing=Row(3))


@pytest.mark.parametrize("way", Way)
async def test_the_same_contents_are_left_as_they_are(server: ForgetfulServer, client: FhirClient, way: Way) -> None:
    """Also those of before there were revisions: an upgrade writes nothing anew."""
    writer = FhirWriter(client, way=way)
    made = await writer.write(study(), UID)
    for revision in (4, 5):
        again = await writer.write(study(), UID, known=made.id, standing=Row(revision))
        assert (again.note, again.version) == ("already there", made.version)
    changed = await writer.write(study("changed"), UID, known=made.id, standing=Row(6))
    assert changed.version != made.version
    assert [revision_of(one) for one in server.held().values()] == [6]


@pytest.mark.parametrize("way", Way)
async def test_nothing_is_written_that_is_not_confirmed(server: ForgetfulServer, client: FhirClient, way: Way) -> None:
    writer = FhirWriter(client, way=way)
    made = await writer.write(study(), UID, standing=Row(1))
    with pytest.raises(Unavailable, match="another has it"):
        await writer.write(study("changed"), UID, known=made.id, standing=Row(2, refused=True))
    server.empty()
    with pytest.raises(Unavailable, match="another has it"):
        await writer.write(study("changed"), UID, standing=Row(2, refused=True))
    assert server.held() == {}


async def _confirmed() -> None: ...


async def test_what_we_made_twice_is_made_one_and_what_another_made_is_reported(
    server: ForgetfulServer, client: FhirClient
) -> None:
    writer = FhirWriter(client, way=Way.SEARCH)
    ours = [await client.create(with_revision(study(), number)) for number in (1, 2)]
    held = await writer.look("ImagingStudy", UID, known=ours[1].id, confirm=_confirmed)
    assert held is not None
    assert list(server.held()) == [held["id"]] == [ours[1].id], "that which is remembered stays"
    await client.create(study("another writer's"))
    with pytest.raises(Duplicates, match="remove all but one there"):
        await writer.look("ImagingStudy", UID, known=ours[1].id, confirm=_confirmed)
    assert len(server.held()) == 2


@pytest.mark.parametrize("release", ["R4", "R5"])
def test_a_revision_is_an_extension_among_others(release: str) -> None:
    profile = {"url": "urn:oid:1.2.3", "valueString": "x"}
    plain: Resource = {**study(), "extension": [profile]}
    for resource in (study(), plain):
        sent = with_revision(with_revision(resource, 2**40), 2**40 + 1)
        assert revision_of(sent) == 2**40 + 1
        assert without_revision(sent) == resource
        assert says_the_same(resource, sent)
        assert says_the_same(with_revision(resource, 1), sent)
        assert faults_of(sent, release) == []  # type: ignore[arg-type]
    assert not says_the_same(study(), with_revision(plain, 1))


@pytest.mark.parametrize(
    "extension",
    [
        None, [], "x", [None], [{"url": EXTENSION}], [{"url": EXTENSION, "valueString": "-1"}],
        [{"url": EXTENSION, "valueString": "\u0663"}], [{"url": "urn:x", "valueString": "7"}],
    ],
)  # fmt: skip
def test_what_is_no_revision_counts_as_older(extension: object) -> None:
    assert revision_of({**study(), "extension": extension}) == 0
