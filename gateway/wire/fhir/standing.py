"""Where a write stands among all writes of its resource: which revision it brings, and whether it may still be made.

The revision travels in the resource, in an extension of ours. Not as a tag of `meta`: servers carry the tags of the
version before forward to the next, so that a resource would have all of them.
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway.wire.fhir.answer import Refused, Resource

EXTENSION: Final = "urn:oid:2.25.246190160334408754682575421677624001978"
"""The address of the extension; its value is a `valueString` of decimal digits, for R4 has no integer of 64 bits."""


class WriteStanding(Protocol):
    """What a writer asks about the write that it makes."""

    @property
    def revision(self) -> int:
        """Counts up with each later version of the resource; 0: the resource goes out without a revision."""

    async def confirm(self) -> None:
        """Return when the write may be made now; awaited right before each request that changes anything. What it
        raises, the writer raises."""

    async def is_later(self, revision: int) -> bool:
        """Whether this revision, higher than ours, is a later version of the resource that we have brought: no number
        of before a database was restored, and none that another gateway gave."""


class Unconditional:
    """A write that nobody competes with."""

    revision: int = 0

    async def confirm(self) -> None:
        return None

    async def is_later(self, revision: int) -> bool:
        return False


UNCONDITIONAL: Final = Unconditional()


def revision_of(resource: Resource) -> int:
    """The revision that a resource carries; 0 where it carries none: another writer's, or of before there were any."""
    for one in resource.get("extension") or ():
        value = str(one.get("valueString", "")) if isinstance(one, dict) and one.get("url") == EXTENSION else ""
        if value.isascii() and value.isdigit():
            return int(value)
    return 0


def is_of_extension(error: Refused) -> bool:
    """Whether a server has refused a resource for an extension: some take none that they do not know."""
    texts = [f"{issue['path']} {issue['text']}" for issue in error.details.get("issues", ())]
    return any("extension" in text.lower() or EXTENSION in text for text in texts)


def with_revision(resource: Resource, revision: int) -> Resource:
    """`resource` with this revision and no other."""
    plain = without_revision(resource)
    return {**plain, "extension": [*plain.get("extension", ()), {"url": EXTENSION, "valueString": str(revision)}]}


def without_revision(resource: Resource) -> Resource:
    """`resource` without a revision."""
    extensions = resource.get("extension")
    if not extensions:
        return resource
    others = [one for one in extensions if not isinstance(one, dict) or one.get("url") != EXTENSION]
    return {key: value for key, value in resource.items() if key != "extension"} | (
        {"extension": others} if others else {}
    )
