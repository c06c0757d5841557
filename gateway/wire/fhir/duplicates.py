"""Several resources with one identifier, where there must be one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway.wire.fhir.answer import Refused, Resource
from gateway.wire.fhir.client import Confirm, FhirClient
from gateway.wire.fhir.standing import revision_of
from gateway.wire.fhir.write import Duplicates

Mode = Literal["report", "remove"]


class Singles:
    """`mode`: whether several of which some are another writer's are reported, or all but the oldest are removed."""

    def __init__(self, client: FhirClient, mode: Mode) -> None:
        self._client = client
        self._mode = mode

    async def only(
        self, kind: str, identifier: str, held: Sequence[Resource], confirm: Confirm, *, keep: str | None = None
    ) -> Resource | None:
        """The resource of `kind` with `identifier` among `held`; None of none.

        Several that all carry a revision are ours, two writes of which the first came through late: all but one are
        removed. Raises `Duplicates` where others are among them, unless all but one may be removed in any case, and
        where the server does not let us. `keep`: the id that stays if it is among ours, else the oldest stays.
        """
        if len(held) < 2:
            return held[0] if held else None
        ids = [str(one.get("id")) for one in held]
        place = f"{self._client.base}/{kind}"
        stated = f"the server holds {len(held)} resources with the identifier {identifier}: {', '.join(ids)}"
        are_ours = all(map(revision_of, held))
        if self._mode == "report" and not are_ours:
            cure = "remove all but one there, or let the gateway do it (duplicates: remove)"
            raise Duplicates(f"{stated}; {cure}", place=place, ids=ids)
        kept, *others = sorted(held, key=lambda one: (not (are_ours and one.get("id") == keep), *_age(one)))
        for other in others:
            try:
                await self._client.delete(kind, str(other["id"]), confirm=confirm)
            except Refused as error:
                why = f"{stated}, and does not let us remove {other['id']}: {error.message}"
                raise Duplicates(why, place=place, ids=ids) from error
        return kept


def _age(resource: Resource) -> tuple[str, str]:
    """By which the oldest comes first."""
    return str((resource.get("meta") or {}).get("lastUpdated")), str(resource["id"])
