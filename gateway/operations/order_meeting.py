"""Studies and their orders: those that need a person, and what persons do about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping

from gateway.errors import Conflict, InvalidValue, RequiredMissing, UnknownKey
from gateway.operations.answers.order_meeting import OpenStudy, OrderConflict, StudyLinkOutcome, StudyReleased
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.link_change import LinkAction
from gateway.records.order_check import OrderStanding, Released, StudyLink
from gateway.records.row_ids import OrderRow
from gateway.store import audit, order_book, order_conflicts, orders, settling, studies, study_links, study_listing

NO_NUMBER: Final = AccessionNumber("")
MOST_CHARACTERS: Final = 256
"""Of each word that a person gives."""


@dataclass(frozen=True, slots=True)
class StudyWish:
    """What a person wants. Raises `InvalidValue` for words that are too long or hold NUL."""

    study_uid: StudyInstanceUID
    person: str
    reason: str = ""
    order: OrderRow | None = None
    accession_number: AccessionNumber = NO_NUMBER

    def __post_init__(self) -> None:
        words = {"uid": self.study_uid, "by": self.person, "reason": self.reason, "accession": self.accession_number}
        for place, word in words.items():
            if len(word) > MOST_CHARACTERS or "\0" in word:
                raise InvalidValue(f"at most {MOST_CHARACTERS} characters are kept, without NUL", place=place)


def open_studies(
    connection: Connection, *, limit: int, standings: Sequence[OrderStanding] = (OrderStanding.HELD,)
) -> list[OpenStudy]:
    """Studies that stand so with their orders, the newest first of each standing."""
    rows = [
        row
        for standing in standings
        for row in study_listing.listing(connection, order_standing=standing, limit=limit).rows
    ]
    return [_open(connection, row) for row in rows[:limit]]


def _open(connection: Connection, row: dict[str, object]) -> OpenStudy:
    attributes = row["attributes"]
    assert isinstance(attributes, dict)
    found = order_conflicts.of_study(connection, StudyInstanceUID(str(row["study_uid"])))
    conflicts = [OrderConflict.of(one) for one in found if one.ended_at is None]
    name = str(attributes.get("PatientName") or "")
    return OpenStudy.model_validate({**row, "patient_name": name, "conflicts": conflicts})


def lines(every: Sequence[OpenStudy]) -> Iterator[str]:
    """For people: each study, then what its order states differently."""
    for study in every:
        patient = f"patient {study.patient_id or 'not stated'}"
        accession = f", accession number {study.accession}" if study.accession else ""
        yield f"{study.study_uid}: {study.order_standing}, {patient}{accession}, from {study.source_ae}"
        yield from (f"    {conflict_text(one)}" for one in study.conflicts)


def conflict_text(one: OrderConflict) -> str:
    """A conflict on one line."""
    released = f"; released by {one.released.person}: {one.released.reason}" if one.released else ""
    name = one.check.value.replace("_", " ")
    return f"{name} ({one.policy.value}): {one.images!r} in the images, {one.ordered!r} in order {one.order}{released}"


def release(connection: Connection, wish: StudyWish, *, now: int) -> StudyReleased:
    """Let a study that its order holds be delivered as it is. What differs later, or with other values, holds again.

    Raises `UnknownKey` without such a study, `RequiredMissing` without a reason.
    """
    row = _held_row(connection, wish)
    if not wish.reason.strip():
        raise RequiredMissing("a reason is needed: why is it right as it is?", place="reason")
    released = order_conflicts.release(connection, wish.study_uid, Released(wish.person, wish.reason, now))
    if released:
        checks = ", ".join(dict.fromkeys(one.conflict.check.value for one in released))
        _changed(connection, wish, row, f"released although these differ from the order: {checks}", now)
    return StudyReleased(study_uid=wish.study_uid, released=[OrderConflict.of(one) for one in released])


def link(connection: Connection, wish: StudyWish, *, now: int) -> StudyLinkOutcome:
    """Link a study with an order, whatever numbers its headers have.

    Raises `UnknownKey` without such a study or order, `Conflict` when several orders have the accession number.
    """
    return _linked(connection, wish, now, is_linked=True)


def unlink(connection: Connection, wish: StudyWish, *, now: int) -> StudyLinkOutcome:
    """Take an order away from a study: no number of its headers leads to that order any more. Raises as `link`."""
    return _linked(connection, wish, now, is_linked=False)


def _linked(connection: Connection, wish: StudyWish, now: int, *, is_linked: bool) -> StudyLinkOutcome:
    row = _held_row(connection, wish)
    order, accession = _order(connection, wish)
    # Held: another gateway may just remove it, by a merge of patients.
    order_book.get(connection, order)
    action = LinkAction.LINK if is_linked else LinkAction.UNLINK
    today = {one.order: one.is_linked for one in study_links.of_study(connection, wish.study_uid)}
    changed = today.get(order) is not is_linked
    if changed:
        study_links.add(connection, wish.study_uid, StudyLink(order, is_linked, wish.person, wish.reason, now))
        _changed(connection, wish, row, f"{action.value} of order {order}", now)
    return StudyLinkOutcome(
        study_uid=wish.study_uid, action=action, order=order, accession=accession, changed=changed
    )  # fmt: skip


def _order(connection: Connection, wish: StudyWish) -> tuple[OrderRow, str]:
    if wish.order is None and not wish.accession_number:
        raise RequiredMissing("name the order, or its accession number", place="order")
    rows = None if wish.order is None else [wish.order]
    found = orders.search(connection, accession_number=wish.accession_number, rows=rows)
    if not found:
        raise UnknownKey("there is no such order", place="order")
    if len(found) > 1:
        raise Conflict(
            f"several orders fit; name the order: {', '.join(str(one['id']) for one in found)}", place="order"
        )
    return OrderRow(found[0]["id"]), found[0]["accession"]


def _held_row(connection: Connection, wish: StudyWish) -> RowMapping:
    row = studies.get(connection, wish.study_uid)
    if row is None:
        raise UnknownKey("there is no such study", place=wish.study_uid)
    return row


def _changed(connection: Connection, wish: StudyWish, row: RowMapping, note: str, now: int) -> None:
    """Record who did it, and let the study be looked at."""
    why = f"{note}: {wish.reason}" if wish.reason else note
    event = AuditEvent(
        AuditKind.PROCEDURE_RECORD, Action.UPDATE, now, Actor(wish.person, ActorKind.PERSON),
        patients=(row["patient_id"],) if row["patient_id"] else (), studies=(wish.study_uid,),
        accession_numbers=(row["accession"],) if row["accession"] else (), note=why,
    )  # fmt: skip
    audit.record(connection, event)
    settling.changed(connection, wish.study_uid, now=now)
