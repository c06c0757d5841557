"""Search: a text that may be any number or name, narrowed down by day, modality, station and state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Final

from sqlalchemy import Connection

from gateway.operations.answers.answer import listed
from gateway.operations.answers.search import Hits, MessageHit, OrderHit, PatientHit, StudyHit
from gateway.records.lookup import NOT_APPLIED, OF_PATIENT, MatchedOn, StepFilter
from gateway.records.row_ids import MessageRow, OrderRow, PatientRow
from gateway.store import lookup_filter, lookup_rows, lookups
from gateway.worklist.names import prefixes_of

MOST: Final = 100
"""Of a kind that are listed."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; `zone`: in which a day of messages begins."""

    zone: tzinfo
    text: str = ""
    narrow: StepFilter = field(default_factory=StepFilter)

    @property
    def wants_messages(self) -> bool:
        return self.narrow.state == NOT_APPLIED


def search(connection: Connection, wanted: Search) -> Hits:
    """What was found, newest first; nothing where neither a text nor a filter is given."""
    if wanted.wants_messages:
        return _messages_not_applied(connection, wanted)
    if wanted.narrow:
        return _orders_of_steps(connection, wanted)
    return _all(connection, wanted.text) if wanted.text else _hits()


def sole(hits: Hits) -> OrderHit | PatientHit | StudyHit | MessageHit | None:
    """The one thing that has the number; None where several have it, or a name led there."""
    numbered = [one for one in hits.orders if one.by not in OF_PATIENT]
    uids = {uid for one in numbered for uid in one.study_uids}
    numbers = {one.accession for one in numbered}
    apart = [
        one
        for one in hits.studies
        if one.by not in OF_PATIENT and one.study_uid not in uids and one.accession not in numbers
    ]
    found: list[OrderHit | PatientHit | StudyHit | MessageHit] = [
        *numbered, *apart, *hits.patients, *hits.messages,
    ]  # fmt: skip
    return found[0] if len(found) == 1 and found[0].by is not MatchedOn.NAME else None


def _all(connection: Connection, text: str) -> Hits:
    names, limit = prefixes_of(text), MOST + 1
    patients = dict.fromkeys(lookups.patients_numbered(connection, text, limit=limit), MatchedOn.PATIENT_ID)
    for row in lookups.patients_named(connection, names, limit=limit):
        patients.setdefault(row, MatchedOn.NAME)
    today = lookup_rows.patients_today(connection, list(patients)[:MOST])
    orders = lookups.orders_numbered(connection, text, limit=limit)
    owners = [PatientRow(one["id"]) for one in today]
    of_patients = lookups.orders_of(connection, owners, limit=limit)
    how = MatchedOn.PATIENT_ID if MatchedOn.PATIENT_ID in patients.values() else MatchedOn.NAME
    for order in of_patients:
        orders.setdefault(order, how)
    studies = lookups.studies_numbered(connection, text, limit=limit)
    messages = lookups.messages_found(connection, text, names, limit=limit)
    counted: dict[str, Sized] = {"orders": orders, "patients": patients, "studies": studies, "messages": messages}
    return _hits(
        orders=_orders(connection, orders),
        patients=[_patient(row, patients.get(row["id"], how)) for row in today],
        studies=_studies(connection, studies),
        messages=_messages(connection, messages),
        # The orders are those of the patients that are listed.
        more={kind: len(found) > MOST for kind, found in counted.items()}
        | {"orders": max(len(orders), len(patients)) > MOST},
    )


def _orders_of_steps(connection: Connection, wanted: Search) -> Hits:
    narrow, text, limit = wanted.narrow, wanted.text, MOST + 1
    names = prefixes_of(text)
    looked_at = lookup_filter.NAMED
    if text and not narrow.day:
        patients = lookups.patients_numbered(connection, text, limit=looked_at)
        patients += lookups.patients_named(connection, names, limit=looked_at)
        candidates = [
            *lookups.orders_numbered(connection, text, limit=looked_at),
            *lookups.orders_of(connection, patients, limit=looked_at),
        ]
        rows = lookup_filter.orders_among(connection, narrow, candidates, limit=limit)
        is_cut = max(len(patients), len(candidates)) >= looked_at
    else:
        looked_at = lookup_filter.LOOKED_AT
        rows, is_cut = lookup_filter.orders_of_steps(connection, narrow, text, names, limit=limit)
    return _hits(
        orders=_orders(connection, dict.fromkeys(rows, MatchedOn.FILTER)),
        more={"orders": len(rows) > MOST},
        looked_at=looked_at if is_cut else None,
    )


def _messages_not_applied(connection: Connection, wanted: Search) -> Hits:
    most = lookup_filter.NAMED
    if wanted.text:
        found = lookups.messages_found(connection, wanted.text, prefixes_of(wanted.text), limit=most)
    else:
        found = dict.fromkeys(lookups.newest_without_effect(connection, limit=most), MatchedOn.FILTER)
    first, last = _day(wanted.narrow.day, wanted.zone)
    rows = [
        row
        for row in lookup_rows.message_rows(connection, list(found))
        if row["state"] in lookups.WITHOUT_EFFECT and first <= row["received_at"] < last
    ]
    return _hits(
        messages=[_message(row, found[row["id"]]) for row in rows[:MOST]],
        more={"messages": len(rows) > MOST},
        looked_at=most if len(found) >= most else None,
    )


def _day(day: str, zone: tzinfo) -> tuple[int, int]:
    """The microseconds from which and before which a day lasts; without a day, all."""
    if not day:
        return 0, 2**62
    begun = datetime.combine(date.fromisoformat(day), time(), zone)
    ended = datetime.combine(begun.date() + timedelta(days=1), time(), zone)
    return round(begun.timestamp() * 1e6), round(ended.timestamp() * 1e6)


def _hits(**values: Any) -> Hits:
    nothing: dict[str, Any] = {"orders": [], "patients": [], "studies": [], "messages": [], "more": {}}
    return Hits(**{**nothing, "looked_at": None, **values})


def _orders(connection: Connection, found: Mapping[OrderRow, MatchedOn]) -> list[OrderHit]:
    rows = lookup_rows.order_rows(connection, list(found)[:MOST])
    return [
        OrderHit.model_validate(
            {**row, "by": found[row["id"]], "patient_id": row["patient_id"] or "", "patient_name": _name(row)}
        )
        for row in rows
    ]


def _patient(row: Mapping[str, Any], by: MatchedOn) -> PatientHit:
    return PatientHit(
        id=row["id"], by=by, patient_id=row["patient_id"], issuer=row["issuer"], name=_name(row),
        birth_date=str(row["attributes"].get("PatientBirthDate") or ""), former=[one for one, _ in row["former"]],
    )  # fmt: skip


def _studies(connection: Connection, found: Mapping[int, MatchedOn]) -> list[StudyHit]:
    return [
        StudyHit.model_validate(
            {
                **row,
                "by": found[row["id"]],
                "patient_name": _name(row),
                "is_withdrawn": row["withdrawn_at"] is not None,
            }
        )
        for row in lookup_rows.study_rows(connection, list(found)[:MOST])
    ]


def _messages(connection: Connection, found: Mapping[MessageRow, MatchedOn]) -> list[MessageHit]:
    return [_message(row, found[row["id"]]) for row in lookup_rows.message_rows(connection, list(found)[:MOST])]


def _message(row: Mapping[str, Any], by: MatchedOn) -> MessageHit:
    return MessageHit.model_validate({**row, "by": by})


def _name(row: Mapping[str, Any]) -> str:
    return str((row["attributes"] or {}).get("PatientName") or "")


def lines(hits: Hits) -> Iterator[str]:
    """For people."""
    for order in hits.orders:
        yield f"order {order.id}: {order.accession or '(no accession number)'}  {_numbers(order)}  {_who(order)}"
        for step in order.steps:
            where = f" at {', '.join(step.station_aes)}" if step.station_aes else ""
            when = f"{step.start_date} {step.start_time[:4]}".strip()
            yield f"    step {step.step_id} {step.state.value.lower()}: {step.modality} {when}{where}"
        yield from (f"    study {uid}" for uid in order.study_uids)
    for patient in hits.patients:
        yield f"patient {patient.patient_id} ({patient.issuer}): {patient.name}, born {patient.birth_date or 'unknown'}"
    for study in hits.studies:
        withdrawn = ", withdrawn" if study.is_withdrawn else ""
        yield f"study {study.study_uid}: {study.accession} of {study.patient_id} {study.patient_name}{withdrawn}"
    for message in hits.messages:
        findings = listed(message.findings)
        yield f"message {message.id}: {message.type} {message.control_id} {message.state}, {message.ack_code}{findings}"
    yield from remarks(hits)


def remarks(hits: Hits) -> Iterator[str]:
    """What the lists do not hold."""
    if cut := [kind for kind, more in hits.more.items() if more]:
        yield f"more than {MOST} of: {', '.join(cut)}; the rest is not listed"
    if hits.looked_at is not None:
        yield f"the filter looked at {hits.looked_at:,} rows alone, there are more; add a number, or a day"


def _numbers(order: OrderHit) -> str:
    given: Sequence[tuple[str, str]] = (("placer", order.placer), ("filler", order.filler))
    return ", ".join(f"{name} {value}" for name, value in given if value)


def _who(order: OrderHit) -> str:
    return f"{order.patient_id} {order.patient_name}".strip()
