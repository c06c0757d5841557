"""Station 3: a scanner asks what it is to do. Modality Worklist C-FIND, PS3.4 Annex K."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from pydicom import Dataset
from sqlalchemy import Connection, RowMapping

from gateway import metrics
from gateway.clock import Clock
from gateway.errors import InvalidValue, Unavailable
from gateway.mapping.attributes import from_dataset, to_dataset
from gateway.records.answering import answer
from gateway.records.matching import bounds, matcher
from gateway.records.patient import as_item
from gateway.records.step import PUBLISHED, StepState
from gateway.store import Store, worklist
from gateway.wire.dimse import Caller, DimseFailure, FindRequest

log = logging.getLogger(__name__)

OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH: Final = 0xA900
UNABLE: Final = 0xC001
CANCELLED: Final = 0xFE00


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site says of its worklist."""

    hidden_states: Sequence[str]
    max_matches: int
    pn_implicit_wildcard: bool


class Worklist:
    """Answers C-FIND; `find` is what the DIMSE server calls."""

    def __init__(self, store: Store, rules: Rules, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._logging: set[asyncio.Task[None]] = set()

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        """One data set per matching step, with what was asked for and nothing more.

        A query that matches more than the limit ends with A700 after that many answers; one that carries a value
        that is no date, time or range with A900.
        """
        caller, identifier = request.caller, request.identifier
        started = self._clock()
        told: list[int] = []
        status = CANCELLED
        try:
            for step, item in await self._matches(caller, identifier):
                if len(told) == self._rules.max_matches:
                    raise DimseFailure(
                        OUT_OF_RESOURCES, f"more than {self._rules.max_matches} steps match; narrow the query"
                    )
                told.append(step)
                yield answer(identifier, item)
            status = 0
        except DimseFailure as failure:
            status = failure.status
            raise
        finally:
            self._note(caller, identifier, status, told, started)

    async def _matches(self, caller: Caller, identifier: Dataset) -> list[tuple[int, Dataset]]:
        try:
            narrow = bounds(identifier)
            accepts = matcher(identifier, pn_implicit_wildcard=self._rules.pn_implicit_wildcard)
            # A step without a station is every station's: it matches any station key, wildcards too.
            offered = matcher(_any_station(identifier), pn_implicit_wildcard=self._rules.pn_implicit_wildcard)
        except InvalidValue as error:
            raise DimseFailure(DOES_NOT_MATCH, str(error)) from error
        hidden = hidden_states(identifier, self._rules.hidden_states)
        station = narrow.station_ae or caller.calling_ae

        def select(connection: Connection) -> list[tuple[int, Dataset]]:
            # In the reader's thread: thousands of items may have to be weighed for a query by name alone.
            rows = worklist.candidates(
                connection, hidden=hidden, patient_id=narrow.patient_id, accession=narrow.accession,
                study_uids=narrow.study_uids, modality=narrow.modality, station_ae=narrow.station_ae,
                date_from=narrow.date_from, date_to=narrow.date_to,
            )  # fmt: skip
            items = ((row, item_of(row, station)) for row in rows)
            found = ((row["id"], item) for row, item in items if (accepts if row["station_ae"] else offered)(item))
            return list(itertools.islice(found, self._rules.max_matches + 1))

        try:
            return await self._store.read(select)
        except Unavailable as error:
            raise DimseFailure(UNABLE, "the database is away; ask again") from error

    def _note(self, caller: Caller, identifier: Dataset, status: int, told: list[int], started: int) -> None:
        """Log the query without keeping the scanner waiting for it."""
        ended = self._clock()
        metrics.FINDS.labels(f"{status:04X}").inc()
        metrics.FIND_SECONDS.observe((ended - started) / 1_000_000)

        async def write() -> None:
            try:
                await self._store.write(
                    lambda connection: worklist.log_query(
                        connection, asked_at=started, calling_ae=caller.calling_ae, address=caller.address,
                        keys=from_dataset(identifier), status=status, matches=told, micros=ended - started,
                    )
                )  # fmt: skip
            except Exception as error:
                log.warning("a worklist query was not logged: %s", type(error).__name__)

        task = asyncio.get_running_loop().create_task(write())
        self._logging.add(task)
        task.add_done_callback(self._logging.discard)


def _any_station(identifier: Dataset) -> Dataset:
    steps = identifier.get("ScheduledProcedureStepSequence")
    if not steps or not steps[0].get("ScheduledStationAETitle"):
        return identifier
    copy = deepcopy(identifier)
    del copy.ScheduledProcedureStepSequence[0].ScheduledStationAETitle
    return copy


def hidden_states(identifier: Dataset, of_site: Sequence[str]) -> tuple[str, ...]:
    """Who asks for a state sees it, even a hidden one; what is on hold is shown to nobody."""
    return (StepState.HELD,) if _names_a_status(identifier) else (*of_site, StepState.HELD)


def _names_a_status(identifier: Dataset) -> bool:
    steps = identifier.get("ScheduledProcedureStepSequence")
    return bool(steps and str(steps[0].get("ScheduledProcedureStepStatus") or "").strip(" *"))


def item_of(row: RowMapping, station: str) -> Dataset:
    """The whole worklist item of a step; a step without a station is offered as `station`'s own."""
    step: dict[str, Any] = {
        "ScheduledStationAETitle": station,
        **row["step"],
        "ScheduledProcedureStepStatus": PUBLISHED[StepState(row["state"])],
    }
    attributes: dict[str, Any] = {
        **as_item(row["patient"], row["said"], row["order"], row["event_at"], row["former"]),
        **row["procedure"],
        "ReferencedStudySequence": [],
        "ReferencedPatientSequence": [],
        "ScheduledProcedureStepSequence": [step],
    }
    return to_dataset(attributes)
