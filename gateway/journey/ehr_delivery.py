"""Station 7: a delivery that is due goes to its EHR, once, whatever happens on the way.

The write is a conditional update by Study Instance UID, so repeating it changes nothing. Even so a try whose
outcome is unknown is not repeated blindly: the EHR is asked first what it holds.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.errors import NeedsPerson
from gateway.records.delivery import Work
from gateway.store.outbox import Done
from gateway.wire.fhir import FhirClient, version_of

_SERVERS_OWN: Final = frozenset({"id", "meta", "text"})
"""What a server adds to a resource; not part of what we said."""


class EhrDelivery:
    """Delivers to one EHR; `deliver` is what the worker calls for its kind of work."""

    def __init__(self, client: FhirClient) -> None:
        self._client = client

    async def deliver(self, work: Work) -> Done:
        """Write the ImagingStudy. Raises what `FhirClient` raises, `NeedsPerson` when the EHR holds the study twice."""
        resource: dict[str, Any] = work.payload["resource"]  # type: ignore[assignment]
        identifier = f"urn:dicom:uid|urn:oid:{work.subject}"
        if work.attempts:
            held = await self._client.find("ImagingStudy", identifier)
            if len(held) > 1:
                ids = ", ".join(str(one.get("id")) for one in held)
                raise NeedsPerson(
                    f"the EHR holds this study {len(held)} times: {ids}; remove all but one",
                    place=self._client.base,
                )
            if held and says_the_same(resource, held[0]):
                return Done(
                    {
                        "status": 200,
                        "id": held[0].get("id", ""),
                        "found": "already there",
                        "version": version_of(held[0]),
                    }
                )
        answer = await self._client.put_by_identifier(resource, identifier)
        return Done({"status": answer.status, "id": answer.id, "version": answer.version})


def says_the_same(ours: Any, theirs: Any, *, top: bool = True) -> bool:
    """Whether a resource of the EHR says all of `ours` and nothing else, but for what servers add themselves."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        skipped = _SERVERS_OWN if top else frozenset()
        keys = (set(ours) | set(theirs)) - skipped
        return all(key in ours and key in theirs and says_the_same(ours[key], theirs[key], top=False) for key in keys)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            says_the_same(a, b, top=False) for a, b in zip(ours, theirs, strict=True)
        )
    return bool(ours == theirs)
