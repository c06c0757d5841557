"""Rows of orders, of their steps and of the times between the stations, as the gateway has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

from sqlalchemy import Connection

from gateway.operations.export import cleaning
from gateway.operations.export.subject import Subject, nobody, subjects
from gateway.operations.export.treated import Raw
from gateway.store.export_orders import OrderPage

SECOND: Final = 1_000_000
TABLES: Final = ("orders", "steps", "times")


@dataclass(frozen=True, slots=True)
class _Order:
    row: Any
    subject: Subject
    key: str


def raw_rows(connection: Connection, page: OrderPage, zone: tzinfo) -> Iterator[tuple[str, Raw]]:
    """(table, row) of all that a page holds. `zone`: of dates and times that have none."""
    known = subjects(connection, page.orders)
    held = {row.order: _order(row, known) for row in page.orders}
    ordered = {row.id: row for row in page.procedures}
    for one in held.values():
        yield "orders", Raw(one.subject, _of_order(one))
    stations: dict[int, Any] = {}
    for row in page.steps:
        procedure = ordered.get(row.procedure)
        if procedure is not None and procedure.order in held:
            stations.setdefault(row.procedure, row)
            one = held[procedure.order]
            yield "steps", Raw(one.subject, _of_step(one, procedure, row, zone))
    yield from _times(page, held, stations)


def _order(row: Any, known: Mapping[int, Subject]) -> _Order:
    authority = row.authority or row.sender
    number = row.accession or row.placer or row.filler
    key = f"{authority}|{number}"
    return _Order(row, known.get(row.patient_row) or nobody(f"order|{key}"), key)


def _of_order(one: _Order) -> dict[str, Any]:
    row, subject = one.row, one.subject
    return {
        "order": one.key, "patient": _patient(subject), "patient_sex": subject.sex(),
        "patient_age": subject.age(row.created_at), "sender": row.sender, "received": row.created_at,
        "changed": row.updated_at,
    }  # fmt: skip


def _patient(subject: Subject) -> str | None:
    return subject.key if subject.is_patient else None


def _of_step(one: _Order, procedure: Any, step: Any, zone: tzinfo) -> dict[str, Any]:
    attributes = procedure.attributes
    row = one.row
    words = one.subject.words(row.accession, row.placer, row.filler, step.step_id)
    return {
        "step": f"{procedure.study_uid}|{step.step_id}", "order": one.key, "patient": _patient(one.subject),
        "study_uid": procedure.study_uid, "state": step.state, "modality": step.modality,
        "station": step.station_ae.partition("\\")[0], "scheduled": local(step.start_date, step.start_time, zone),
        "changed": step.updated_at, "priority": str(attributes.get("RequestedProcedurePriority") or ""),
        **coded(attributes.get("RequestedProcedureCodeSequence"), words),
    }  # fmt: skip


def coded(items: Any, words: frozenset[str]) -> dict[str, Any]:
    """Code and scheme of the first item of a code sequence, unless the code holds one of the words."""
    item = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
    code = cleaning.code(str(item.get("CodeValue") or ""), words)
    return {"procedure_code": code, "procedure_scheme": str(item.get("CodingSchemeDesignator") or "") if code else ""}


def local(day: str, clock: str, zone: tzinfo) -> int | None:
    """DA and TM in a zone as microseconds; a day without a readable time begins with it; None without a day."""
    digits = clock.partition(".")[0].ljust(6, "0")[:6]
    for written in (f"{day}T{digits}", f"{day}T000000"):
        try:
            return int(datetime.fromisoformat(written).replace(tzinfo=zone).timestamp()) * SECOND
        except (ValueError, OverflowError):
            continue
    return None


def _times(page: OrderPage, held: Mapping[int, _Order], stations: Mapping[int, Any]) -> Iterator[tuple[str, Raw]]:
    arrived: dict[int, dict[str, Any]] = {}
    for row in page.studies:
        arrived.setdefault(row.order, {})[row.study_uid] = row
    performed: dict[tuple[int, str], list[Any]] = {}
    for row in page.performed:
        performed.setdefault((row.order, row.study_uid), []).append(row)
    shown = _first_shown(page)
    numbers: dict[int, int] = {}
    for row in page.procedures:
        numbers[row.order] = numbers.get(row.order, 0) + 1
    for row in page.procedures:
        if row.order not in held:
            continue
        of_order = arrived.get(row.order, {})
        study = of_order.get(row.study_uid)
        if study is None and numbers[row.order] == 1:
            # A modality that made up a UID of its own, under the order's accession number.
            study = next(iter(of_order.values()), None)
        moments = _moments(held[row.order], performed.get((row.order, row.study_uid), ()), study, page.in_ehr)
        moments["first_shown"] = shown.get(row.id)
        yield "times", Raw(held[row.order].subject, _of_times(held[row.order], row, stations.get(row.id), moments))


def _first_shown(page: OrderPage) -> dict[int, int]:
    """Row of a procedure -> when a scanner was first answered with one of its steps."""
    first: dict[int, int] = {}
    for step in page.steps:
        at = page.shown.get(step.id)
        if at is not None:
            first[step.procedure] = min(at, first.get(step.procedure, at))
    return first


def _moments(one: _Order, performed: Any, study: Any, in_ehr: Mapping[str, int]) -> dict[str, Any]:
    ended = [row.ended_at for row in performed if row.ended_at is not None]
    return {
        "received": one.row.created_at,
        "exam_begun": min((row.begun_at for row in performed), default=None),
        "exam_ended": max(ended, default=None),
        "first_instance": study.first_at if study is not None else None,
        "settled": study.settled_at if study is not None else None,
        "in_ehr": in_ehr.get(study.study_uid) if study is not None else None,
        "study_uid": study.study_uid if study is not None else None,
        "calling_ae": next((row.calling_ae for row in performed), None),
    }


def _of_times(one: _Order, procedure: Any, step: Any, moments: dict[str, Any]) -> dict[str, Any]:
    exam = moments["exam_begun"] if moments["exam_begun"] is not None else moments["first_instance"]
    station = moments.pop("calling_ae") or (step.station_ae.partition("\\")[0] if step is not None else "")
    return moments | {
        "order": one.key, "patient": _patient(one.subject), "study_uid": moments["study_uid"] or procedure.study_uid,
        "modality": step.modality if step is not None else "", "station": station,
        "received_to_shown": seconds(moments["received"], moments["first_shown"]),
        "received_to_exam": seconds(moments["received"], exam),
        "exam": seconds(moments["exam_begun"], moments["exam_ended"]),
        "exam_to_settled": seconds(exam, moments["settled"]),
        "exam_to_ehr": seconds(exam, moments["in_ehr"]),
    }  # fmt: skip


def seconds(first: int | None, last: int | None) -> float | None:
    """Between two moments, to the microsecond; None where one of them is not known."""
    return None if first is None or last is None else (last - first) / SECOND
