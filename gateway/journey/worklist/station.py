"""Station `worklist`: a scanner asks for its scheduled procedure steps (Modality Worklist, PS3.4 Annex K;
PS3.18 chapter 14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta, tzinfo
from functools import lru_cache, partial
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from gateway.clock import Clock, local_day
from gateway.errors import Unavailable
from gateway.journey.worklist.auditing import event_of_query
from gateway.journey.worklist.query import WHOLE, Matches, Page, Query, Writer
from gateway.journey.worklist.query_log import QueryLog
from gateway.observe import metrics
from gateway.records.patient import as_item
from gateway.records.row_ids import StepRow
from gateway.records.step import PUBLISHED, StepState
from gateway.store import Store, worklist
from gateway.store.scanner_queries import ScannerQuery
from gateway.worklist.answering import NEVER_KEYS, STEP_SEQUENCE
from gateway.worklist.items import Element, Item, Stored, as_attributes
from gateway.worklist.matching import Predicate, is_universal, matcher, under_each_identity
from gateway.worklist.names import NameMatching
from gateway.worklist.prefilter import prefilter_of
from gateway.worklist.scanner_rules import AS_IT_IS, STATION_AE, Form, ScannerRule, rule_for, shaped, with_keys

STEP_STATUS: Final = 0x00400020
WITHOUT_MAPPING: Final = NEVER_KEYS | {STEP_STATUS, STEP_SEQUENCE, 0x00081110, 0x00081120}
"""What an answer can hold that no row of the mapping gives: status, sequence of steps, referenced study and patient."""
_PUBLISHED: Final[Mapping[str, str]] = {state.value: status for state, status in PUBLISHED.items()}
KEPT_ITEMS: Final = 4096
"""Items that are kept as they were last read, with what they were written as: 8 kB each, 16 with results in JSON."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site says of its worklist."""

    hidden_states: Sequence[str]
    max_matches: int
    pn_implicit_wildcard: bool
    zone: tzinfo
    started_grace_seconds: float = 0.0
    """How long a STARTED step is shown although it is hidden."""
    expire_after_days: int | None = None
    """So many days after its day a step that nobody has begun is not shown any more; None: it is."""
    known: frozenset[int] | None = None
    """Attributes that an item can hold; a query for another one is answered with FF01. None: never FF01."""
    scanners: Sequence[ScannerRule] = field(default_factory=tuple)

    def visibility(self, identifier: Item, now: int) -> worklist.Visibility:
        """Who asks for a state sees it, even a hidden one; what is on hold is shown to nobody."""
        if _names_a_status(identifier):
            return worklist.Visibility((StepState.HELD,))
        hidden = tuple(dict.fromkeys((*self.hidden_states, StepState.HELD)))
        grace = round(self.started_grace_seconds * 1_000_000)
        started_after = now - grace if grace and StepState.STARTED in hidden else None
        return worklist.Visibility(hidden, started_after, self.first_day(now))

    def first_day(self, now: int) -> str:
        """DA: a step of an earlier day that nobody has begun has expired; empty: none expires."""
        if self.expire_after_days is None:
            return ""
        return f"{local_day(now, self.zone) - timedelta(days=self.expire_after_days):%Y%m%d}"


class Question:
    """A query as its station's rule completes it. Raises `InvalidValue` for a date or time that is none."""

    def __init__(self, identifier: Item, calling_ae: str, rules: Rules, now: int, *, fuzzy: bool = False) -> None:
        self.asked = identifier
        self.rule = rule_for(rules.scanners, calling_ae)
        self.added = self.rule.added(identifier, calling_ae, local_day(now, rules.zone))
        self.identifier = with_keys(identifier, self.added)
        self.bounds = prefilter_of(self.identifier)
        if fuzzy:
            self.bounds = replace(self.bounds, name_prefix=None)
        self.visible = rules.visibility(self.identifier, now)
        self.station = self.bounds.station_ae or calling_ae
        self.max_matches = self.rule.max_matches or rules.max_matches
        names = NameMatching(rules.pn_implicit_wildcard, fuzzy)
        self._accepts = matcher(self.identifier, names)
        # A step without a station is every station's: it matches any station key, wildcards too.
        of_any = without_station(self.identifier)
        self._accepts_any = self._accepts if of_any is self.identifier else matcher(of_any, names)

    def accepts(self, station_ae: str) -> Predicate:
        """What a step of this station, or of none, must fulfil."""
        return self._accepts if station_ae else self._accepts_any


class Worklist:
    """Finds the steps that a scanner asks for; each protocol has an edge that calls it."""

    def __init__(self, store: Store, rules: Rules, clock: Clock, query_log: QueryLog) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._query_log = query_log

    @property
    def known(self) -> frozenset[int] | None:
        """`Rules.known`."""
        return self._rules.known

    def stations_of(self, scanner: str) -> tuple[str, ...]:
        """Scheduled Station AE Titles whose steps are for a scanner: its own, and those of its rule."""
        return tuple(dict.fromkeys((scanner, *rule_for(self._rules.scanners, scanner).stations_for(scanner))))

    def adopt(self, rules: Rules) -> None:
        """Answer by these rules from the next query on."""
        self._rules = rules

    def now(self) -> int:
        """When a query begins, for `note`."""
        return self._clock()

    async def matches(self, query: Query, writer: Writer, page: Page = WHOLE) -> Matches:
        """A page of the matching steps. Raises `InvalidValue` for a key that is no date, time or range of them,
        `Unavailable` without a database."""
        question = Question(query.keys, query.scanner, self._rules, self._clock(), fuzzy=query.fuzzy)
        form = question.rule.form
        write = writer(form)
        most = question.max_matches if page.limit is None else min(page.limit, question.max_matches)

        def select(connection: Connection) -> Matches:
            # In the reader's thread: thousands of items may have to be weighed for a query by name alone.
            answers: list[tuple[StepRow, bytes]] = []
            number = 0
            for row in worklist.candidates(connection, question.bounds, question.visible):
                items = kept_items(row.texts, row.state, row.station_ae or question.station, form)
                if any(map(question.accepts(row.station_ae), items)):
                    number += 1
                    if page.offset < number <= page.offset + most:
                        answers.append((row.id, write(items[0])))
                    elif number == page.offset + most + page.counted:
                        break
            return Matches(answers, max(number - page.offset - most, 0))

        try:
            return await self._store.read(select)
        except Unavailable as error:
            raise Unavailable("the database is away; ask again") from error

    def note(self, query: Query, answered: Sequence[StepRow], status: int, *, started: int) -> None:
        """Log the query without keeping the scanner waiting for it. `status`: that of a C-FIND with this outcome,
        whatever the protocol (PS3.4 Table K.4-1); `started`: of `now`."""
        ended = self._clock()
        metrics.FINDS.labels(f"{status:04X}").inc()
        metrics.FIND_SECONDS.observe((ended - started) / 1_000_000)

        asked = ScannerQuery(
            started, query.scanner, query.address, as_attributes(query.keys), status, answered, ended - started
        )
        self._query_log.note(asked, partial(event_of_query, query, status, len(answered), started))


def without_station(identifier: Item) -> Item:
    """The query without its station key; the same one where that key matches every station."""
    step = identifier.get(STEP_SEQUENCE)
    key = step.items[0].get(STATION_AE) if step is not None and step.items else None
    if step is None or key is None or is_universal(key):
        return identifier
    inner = {tag: one for tag, one in step.items[0].items() if tag != STATION_AE}
    return {**identifier, STEP_SEQUENCE: Element(STEP_SEQUENCE, "SQ", step.keyword, items=(inner,))}


def _names_a_status(identifier: Item) -> bool:
    step = identifier.get(STEP_SEQUENCE)
    status = step.items[0].get(STEP_STATUS) if step is not None and step.items else None
    return status is not None and any(value.strip("*") for value in status.values)


@lru_cache(maxsize=KEPT_ITEMS)
def kept_items(texts: worklist.Texts, state: str, station: str, form: Form) -> tuple[Stored, ...]:
    """`items_of` by what the database says of a step: when one word of that changes, it is another item."""
    of_patient, of_stamps, of_order, event_at, of_former, of_procedure, of_step = texts
    patient, stamps, order, former, procedure, step = orjson.loads(
        f"[{of_patient},{of_stamps},{of_order},{of_former},{of_procedure},{of_step}]"
    )
    stored = {
        "patient": patient, "stamps": stamps, "order": order, "event_at": event_at, "former": former,
        "procedure": procedure, "step": step,
    }  # fmt: skip
    return items_of(stored, state, station, form)


def items_of(stored: Mapping[str, Any], state: str, station: str, form: Form = AS_IT_IS) -> tuple[Stored, ...]:
    """The item of a step, which answers it, then the items under former identities of the patient, which match too."""
    return under_each_identity(item_of(stored, state, station, form), stored["former"])


def item_of(stored: Mapping[str, Any], state: str, station: str, form: Form = AS_IT_IS) -> Stored:
    """The whole worklist item of a step; a step without a station is offered as `station`'s own.

    `stored`: `patient`, `stamps`, `order`, `event_at`, `former`, `procedure` and `step`, as the database holds them.
    """
    step: dict[str, Any] = {
        "ScheduledStationAETitle": station,
        **stored["step"],
        "ScheduledProcedureStepStatus": _PUBLISHED[state],
    }
    attributes: dict[str, Any] = {
        **as_item(stored["patient"], stored["stamps"], stored["order"], stored["event_at"], stored["former"]),
        **stored["procedure"],
        "ReferencedStudySequence": [],
        "ReferencedPatientSequence": [],
        "ScheduledProcedureStepSequence": [step],
    }
    return Stored(shaped(attributes, form))
