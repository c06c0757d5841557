"""What of an instance is corrected on its way to a destination: decided when it is sent, by what is known then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import Malformed, NeedsPerson, with_fate
from gateway.mapping.corrections.correcting import CorrectionMapping
from gateway.mapping.corrections.scope import CorrectionScope
from gateway.mapping.elements import of_levels
from gateway.mapping.frames import tags_for
from gateway.records.correction import Correction, CorrectionSet, InstanceFacts, Modification
from gateway.store import Store, instance_facts
from gateway.store.gathered import Gathered
from gateway.wire.dimse.header import read_elements

Correct = Callable[[Path, Path, Sequence[Correction], Modification], Awaitable[list[str]]]
"""Writes the instance of the first file to the second with the corrections; gives remarks."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be corrected of an instance."""

    corrections: Sequence[Correction]
    modification: Modification


class Correcting:
    """Corrections by the rows of `sets`. `system`: Modifying System; `zone`: of Attribute Modification DateTime."""

    def __init__(
        self,
        store: Store,
        mapping: CorrectionMapping,
        sets: Collection[CorrectionSet],
        correct: Correct,
        *,
        system: str,
        zone: tzinfo,
        clock: Clock,
    ) -> None:
        self._mapping = mapping
        self._tags = tags_for(mapping.keywords)
        self._sets = sets
        self.write = correct
        self._system = system
        self._zone = zone
        self._clock = clock
        self._facts = Gathered(store, instance_facts.of_instances)

    async def due(self, instance: int) -> Due | None:
        """What is to be corrected of an instance (its row); None: nothing. Raises `Unavailable`, and `NeedsPerson` when
        its header cannot be read."""
        facts = await self._facts.ask(instance)
        if facts is None:
            return None
        corrections = await asyncio.to_thread(self._corrections, facts)
        if not corrections:
            return None
        at = datetime.fromtimestamp(self._clock() / 1e6, UTC).astimezone(self._zone)
        return Due(corrections, Modification(self._system, facts.source_ae, f"{at:%Y%m%d%H%M%S.%f%z}"))

    def _corrections(self, facts: InstanceFacts) -> list[Correction]:
        try:
            elements = read_elements(facts.header, facts.transfer_syntax_uid, self._tags, faults=[])
        except Malformed as error:
            raise with_fate(error, NeedsPerson) from error
        stated = of_levels(elements, {"instance": self._mapping.keywords})["instance"]
        scope = CorrectionScope(stated, facts.patient, facts.order)
        return self._mapping.corrections(scope, self._sets)
