"""Kept messages worked on again after a change of mappings or settings; or only what that would change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import orjson
from sqlalchemy import Connection, RowMapping

from gateway.clock import Clock
from gateway.errors import GatewayError, Rejected
from gateway.journey.order_intake.reading import MessageReader
from gateway.journey.order_intake.station import OrderIntake
from gateway.journey.study_arrival.station import StudyArrival
from gateway.operations.bulk import each_of_cause
from gateway.operations.repeat_messages import RepeatedCause, repeat_cause
from gateway.records.identifiers import AccessionNumber
from gateway.records.order import OrderedProcedure
from gateway.records.patient import Identity, PatientStatement, as_item, identity_of
from gateway.records.row_ids import MessageRow, PatientRow, WorkRow
from gateway.store import Store, messages, outbox_listing, patients, worklist

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepChange:
    """What would be different in one step of the worklist."""

    accession: AccessionNumber
    patient_id: str
    step_id: str
    what: str
    """`new`, `gone` or `changed`."""
    attributes: Sequence[tuple[str, Any, Any]] = ()
    """(keyword, before, after) of a changed step; None: not there."""


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """A message that would be answered otherwise than when it came."""

    message: int
    type: str
    control_id: str
    before: str
    after: str
    why: str


@dataclass(slots=True)
class Outcome:
    """Of the messages of one patient, or of patients that have to do with each other."""

    messages: int = 0
    answers: list[NewAnswer] = field(default_factory=list)
    changes: list[StepChange] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people."""
        for one in self.answers:
            yield f"m{one.message}  {one.type} {one.control_id}: {one.before} -> {one.after}  {one.why}".rstrip()
        for change in self.changes:
            yield f"{change.accession}  step {change.step_id} of {change.patient_id}: {change.what}"
            for keyword, before, after in change.attributes:
                yield f"    {keyword}: {shown_change(before)} -> {shown_change(after)}"


def shown_change(value: Any) -> str:
    """A value before or after a change, for people."""
    return "(none)" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()


class Repeats:
    """Repeats deliveries, messages and studies, one after the other."""

    def __init__(
        self, store: Store, arrival: StudyArrival, replay_message: Callable[[int], Awaitable[str]], clock: Clock
    ) -> None:
        """`replay_message` works on a kept message again and returns its new MSA-1."""
        self._store = store
        self._arrival = arrival
        self._replay_message = replay_message
        self._clock = clock

    async def repeat(self, kind: str, number: Any) -> str:
        """Repeat a delivery (`d`), a message (`m`) or a `study`; returns what came of it in a few words.

        Raises `GatewayError`, also for a message that is still not accepted.
        """
        if kind == "study":
            return f"{await self._arrival.replay(number)} instances; EHRs get what has changed (--again: all)"
        if kind == "m":
            return await self._repeat_message(number)
        await self._store.write(lambda connection: outbox_listing.replay(connection, [number], now=self._clock()))
        return "due now"

    async def _repeat_message(self, number: MessageRow) -> str:
        code = await self._replay_message(number)
        if code == "AA":
            return code
        row = await self._store.read(lambda connection: messages.get(connection, number))
        assert row is not None
        finding = row["findings"][-1]
        raise Rejected(f"{code}, {finding['place']}: {finding['text']}", place=f"m{number}")

    async def cause(self, key: str) -> tuple[int, list[str]]:
        """Repeat all deliveries that were parked for a cause: how many, and why others stay. Raises `UnknownKey`."""
        done, remaining = await replay_cause(self._store, key, self._clock)
        return len(done), remaining

    async def message_cause(self, key: str) -> RepeatedCause:
        """Work again on messages that were not applied for a cause. Raises `UnknownKey`."""
        return await repeat_cause(self._store, key, self._replay_message)


async def replay_cause(store: Store, key: str, clock: Clock) -> tuple[list[WorkRow], list[str]]:
    """Make all work of a cause due now, page by page: the ids, and why others stay. Raises `UnknownKey`."""
    return await each_of_cause(store, key, partial(outbox_listing.replay, now=clock()))


class _UndoReplayError(Exception):
    """Takes a transaction back, with what was learned in it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class DryRun:
    """Tries kept messages in transactions that are taken back, one for each group of patients."""

    def __init__(self, store: Store, reader: MessageReader, intakes: Callable[[str], OrderIntake]) -> None:
        """`intakes` gives the intake of a listener by its name."""
        self._store = store
        self._reader = reader
        self._intakes = intakes

    async def outcomes(self, ids: Sequence[MessageRow]) -> AsyncIterator[Outcome]:
        """What would come of working on these messages again, group by group. Changes nothing."""
        groups = _Groups()
        for message in ids:
            keys = await self._store.read(lambda connection, message=message: self._keys(connection, message))  # type: ignore[misc]
            groups.add(message, keys)
        for group, keys in groups:
            try:
                await self._store.write(lambda connection, group=group, keys=keys: self._try(connection, group, keys))  # type: ignore[misc]
            except _UndoReplayError as done:
                yield done.outcome

    def _keys(self, connection: Connection, message: MessageRow) -> set[PatientRow | Identity]:
        """Whom a message is about: rows of patients, and identities of those who have none."""
        row = messages.get(connection, message)
        if row is None:
            return set()
        found: set[PatientRow | Identity] = set(messages.patients_of(connection, message))
        for identity in _identities(self._reader, row):
            known = patients.find(connection, identity)
            found.add(identity if known is None else patients.survivor(connection, known)["id"])
        return found

    def _try(
        self, connection: Connection, group: Sequence[MessageRow], keys: Iterable[PatientRow | Identity]
    ) -> NoReturn:
        before = _items(connection, keys)
        outcome = Outcome(messages=len(group))
        for message in group:
            row = messages.get(connection, message)
            if row is None:
                continue
            intake: OrderIntake = self._intakes(row["listener"])
            judged = intake.apply_again(
                connection, row, self._reader.read(row["body"], row["received_at"], row["listener"])
            )
            if judged.code != row["ack_code"]:
                why = "; ".join(f"{one['place']}: {one['text']}" for one in judged.findings)
                outcome.answers.append(
                    NewAnswer(message, row["type"], row["control_id"], row["ack_code"], judged.code, why)
                )
        outcome.changes = list(_changes(before, _items(connection, keys)))
        raise _UndoReplayError(outcome)


def _identities(reader: MessageReader, row: Mapping[str, Any]) -> Iterable[Identity]:
    try:
        statements = reader.read(row["body"], row["received_at"], row["listener"]).statements
    except GatewayError:
        return
    for one in statements:
        if isinstance(one, PatientStatement):
            yield one.identity
            yield from one.prior
        elif isinstance(one, OrderedProcedure):
            yield identity_of(one.patient)


class _Groups:
    """Messages that share a patient, or a patient of a patient's: each group is tried as a whole."""

    def __init__(self) -> None:
        self._messages: dict[MessageRow, list[MessageRow]] = {}
        self._keys: dict[MessageRow, set[PatientRow | Identity]] = {}
        self._group_of: dict[PatientRow | Identity, MessageRow] = {}

    def add(self, message: MessageRow, keys: set[PatientRow | Identity]) -> None:
        joined = sorted({self._group_of[key] for key in keys if key in self._group_of})
        number = joined[0] if joined else message
        together = self._messages.setdefault(number, [])
        known = self._keys.setdefault(number, set())
        for other in joined[1:]:
            together += self._messages.pop(other)
            known |= self._keys.pop(other)
        together.append(message)
        known |= keys
        self._group_of.update(dict.fromkeys(known, number))

    def __iter__(self) -> Any:
        return iter([(sorted(group), self._keys[number]) for number, group in self._messages.items()])


def _items(connection: Connection, keys: Iterable[PatientRow | Identity]) -> dict[int, tuple[RowMapping, Item]]:
    """The worklist items of these patients, by the row of their step."""
    rows = set()
    for key in keys:
        known = patients.get(connection, key) if isinstance(key, int) else patients.find(connection, key)
        if known is not None:
            rows.add(patients.survivor(connection, known)["id"])
    return {row["id"]: (row, _item(row)) for row in worklist.of_patients(connection, sorted(rows))}


def _item(row: RowMapping) -> Item:
    attributes = as_item(row["patient"], row["stamps"], row["order"], row["event_at"], row["former"])
    return {**attributes, **row["procedure"], **row["step"], "state": row["state"]}


def _changes(
    before: dict[int, tuple[RowMapping, Item]], after: dict[int, tuple[RowMapping, Item]]
) -> Iterable[StepChange]:
    for step in sorted(before.keys() | after.keys()):
        old, new = before.get(step), after.get(step)
        row: Any = (new or old or ({}, {}))[0]
        who = (row["accession"], row["patient_id"], row["step_id"])
        if old is None or new is None:
            yield StepChange(*who, "new" if old is None else "gone")
            continue
        keywords = sorted(old[1].keys() | new[1].keys())
        different = [(one, old[1].get(one), new[1].get(one)) for one in keywords if old[1].get(one) != new[1].get(one)]
        if different:
            yield StepChange(*who, "changed", different)
