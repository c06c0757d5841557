"""Why a scanner does not see an order: which state, key or rule keeps each of its steps off the worklist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from gateway.config import Config
from gateway.errors import InvalidValue
from gateway.journey.worklist import hidden_states, item_of
from gateway.mapping.attributes import look, to_dataset
from gateway.records.matching import matcher
from gateway.records.order import Attributes
from gateway.records.step import StepState
from gateway.store import worklist

STEPS: Final = "ScheduledProcedureStepSequence"
OUT_OF_RESOURCES: Final = 0xA700
STATION: Final = "ScheduledStationAETitle"
TOGETHER: Final = (("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"),)
"""Keys that are matched as one (PS3.4 K.2.2.1.2)."""


@dataclass(frozen=True, slots=True)
class StepWhy:
    """One step of the order, as the scanner's last query meets it now."""

    step_id: str
    state: str
    stations: str
    """Scheduled Station AE Titles; empty: every station's."""
    start: str
    reasons: tuple[str, ...]
    """What keeps it off; empty: it is shown."""
    told_at: int | None
    """When the scanner was last told of it, microseconds."""


@dataclass(frozen=True, slots=True)
class Why:
    accession: str
    station: str
    asked_at: int | None
    """When the scanner last asked; None: not among the queries that are kept."""
    answers: int = 0
    """How many steps it was told then."""
    status: int = 0
    keys: Attributes = field(default_factory=dict)
    steps: tuple[StepWhy, ...] = ()
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def why(connection: Connection, config: Config, accession: str, station: str) -> Why | None:
    """None when nothing was ordered under this accession number."""
    rows = worklist.of_accession(connection, accession)
    if not rows:
        return None
    query = worklist.last_query(connection, station)
    keys: Attributes = query["keys"] if query else {}
    told = worklist.told(connection, station, [row["id"] for row in rows])
    steps = tuple(
        StepWhy(
            step_id=row["step_id"],
            state=row["state"],
            stations=row["station_ae"],
            start=f"{row['start_date']} {row['start_time']}".strip(),
            reasons=tuple(_reasons(row, keys, station, config)),
            told_at=told.get(row["id"]),
        )
        for row in rows
    )
    return Why(
        accession=accession,
        station=station,
        asked_at=query["asked_at"] if query else None,
        answers=query["matches"] if query else 0,
        status=query["status"] if query else 0,
        keys=keys,
        steps=steps,
        remarks=tuple(_remarks(config, station, query)),
    )


def _remarks(config: Config, station: str, query: RowMapping | None) -> Iterator[str]:
    allowed = config.dicom.allowed_calling_aes
    if allowed and station not in allowed:
        yield f"{station} is not among dicom.allowed_calling_aes: its associations are refused"
    if query is None:
        yield f"{station} has not asked, as far back as queries are kept; states are all that can be told of"
    elif query["status"] == OUT_OF_RESOURCES:
        yield f"its last query matched more than dicom.max_worklist_matches ({config.dicom.max_worklist_matches})"
    elif query["status"]:
        yield f"its last query ended with status {query['status']:04X}"


def _reasons(row: RowMapping, keys: Attributes, station: str, config: Config) -> Iterator[str]:
    hidden = hidden_states(to_dataset(keys), config.dicom.hidden_states)
    if row["state"] in hidden:
        on_hold = row["state"] == StepState.HELD
        yield "the order is on hold" if on_hold else f"{row['state']} steps are not shown (dicom.hidden_states)"
    item = item_of(row, station)
    for asked in _single(keys):
        if STATION in str(asked) and not row["station_ae"]:
            continue
        try:
            fits = matcher(to_dataset(asked), pn_implicit_wildcard=config.dicom.pn_implicit_wildcard)(item)
        except InvalidValue as error:
            yield f"the key {error}"
            continue
        if not fits:
            yield _told(asked, row)


def _single(keys: Attributes) -> Iterator[Attributes]:
    """Each key of a query by itself; those that are matched together, together."""
    for keyword, value in keys.items():
        if keyword == STEPS:
            within = value[0] if isinstance(value, list) and value else {}
            yield from ({STEPS: [one]} for one in _single(within))
        elif _has_value(value) and not any(keyword == pair[1] and _has_value(keys.get(pair[0])) for pair in TOGETHER):
            partner = next((pair[1] for pair in TOGETHER if pair[0] == keyword and _has_value(keys.get(pair[1]))), "")
            yield {keyword: value} | ({partner: keys[partner]} if partner else {})


def _has_value(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_value(one) for one in value)
    if isinstance(value, dict):
        return any(_has_value(one) for one in value.values())
    return value not in (None, "", "*")


def _told(asked: Attributes, row: RowMapping) -> str:
    inner = asked.get(STEPS)
    keys: Attributes = inner[0] if inner else asked
    held: Attributes = {**row["patient"], **row["order"], **row["procedure"], **row["step"]}
    parts = [f"{keyword} = {_shown(value)}; it has {_shown(look(held, keyword))}" for keyword, value in keys.items()]
    return f"asked for {', '.join(parts)}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "\\".join(_shown(one) for one in value)
    return "nothing" if value in (None, "") else str(value)


def lines(found: Why, moment: Any) -> Iterable[str]:
    """For people; `moment` writes a time."""
    asked = "has not asked" if found.asked_at is None else f"last asked {moment(found.asked_at)}"
    yield f"{found.station} {asked}" + ("" if found.asked_at is None else f" and was told {found.answers} steps")
    yield from found.remarks
    for step in found.steps:
        told = f", told {moment(step.told_at)}" if step.told_at is not None else ", never told"
        where = step.stations or "every station"
        verdict = "would not be shown" if step.reasons else "would be shown"
        yield f"{found.accession} step {step.step_id} ({step.state}, {step.start}, {where}){told}: {verdict}"
        yield from (f"    {reason}" for reason in step.reasons)
