"""What an EHR holds of studies, as it is compared with what it was sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Final

from gateway.records.delivery import STUDY_SYSTEM, UID_PREFIX, identifier_of_study
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.reconciliation import ERROR, AtEhr, Sent
from gateway.wire.fhir import FhirClient
from gateway.wire.fhir.answer import Refused, Resource
from gateway.wire.fhir.listing import Tried, pages
from gateway.wire.fhir.sameness import differing

AT_ONCE: Final = 20
"""Resources of a page: one of a study with thousands of instances takes a megabyte."""


@dataclass(slots=True)
class EhrSide:
    """An EHR whose `client` is open."""

    name: str
    client: FhirClient
    kind: str = "ImagingStudy"
    """The resource type that it gets for a study."""
    why_not: str = ""
    """Why its studies are not listed by day; empty: they are."""

    @property
    def lists(self) -> bool:
        """Whether it can be asked for all studies of a day."""
        if self.kind != "ImagingStudy":
            self.why_not = "a DocumentReference is not found by the day of its study"
        return not self.why_not

    async def listed(self, day: date, tried: Tried) -> AsyncGenerator[list[tuple[StudyInstanceUID, Resource]]]:
        """The resources of studies that began on a day, page by page, each with its Study Instance UID. An EHR that
        takes no search by `started` gives none, and `why_not` tells so. Raises what `pages` raises."""
        found = pages(self.client, self.kind, f"started={day.isoformat()}&_count={AT_ONCE}", tried)
        try:
            async for page in found:
                yield [(uid, one) for one in page for uid in _uids(one)]
        except Refused as error:
            if error.details.get("status") not in (400, 404, 501):
                raise
            self.why_not = "it takes no search by the day of a study (started)"

    async def find(self, uid: StudyInstanceUID) -> list[Resource]:
        """The resources with a Study Instance UID."""
        return await self.client.find(self.kind, identifier_of_study(uid))

    def compared(self, sent: Sent | None, held: Sequence[Resource]) -> AtEhr:
        """What the EHR holds of a study, beside what was delivered last."""
        if len(held) != 1 or sent is None or sent.resource is None:
            return AtEhr(len(held))
        ours, theirs = sent.resource, held[0]
        in_error = theirs.get("status") == ERROR and ours.get("status") != ERROR
        return AtEhr(1, differing(ours, theirs), in_error)


def is_kept_on(resource: Resource, day: date, zone: tzinfo) -> bool:
    """Whether a resource stands for a study that began on this day, as it is written and by the clock of the site: a
    server finds by the days of its own zone, and some write all times in theirs. Not where it is entered in error."""
    written = str(resource.get("started") or "")
    try:
        began = datetime.fromisoformat(written)
    except ValueError:
        return False
    local = began if began.tzinfo is None else began.astimezone(zone)
    return began.date() == local.date() == day and resource.get("status") != ERROR


def _uids(resource: Resource) -> list[StudyInstanceUID]:
    """Of a resource as it is in an EHR, which may be another writer's."""
    values = [
        str(one.get("value") or "") for one in resource.get("identifier") or () if one.get("system") == STUDY_SYSTEM
    ]
    return [StudyInstanceUID(value.removeprefix(UID_PREFIX)) for value in values[:1] if value.startswith(UID_PREFIX)]
