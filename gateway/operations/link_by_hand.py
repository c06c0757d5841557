"""Links between performed and scheduled steps that a person makes or takes away, each kept with who, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from gateway.errors import InvalidValue, RequiredMissing, UnknownKey
from gateway.journey.performed_step.attaching import Tools, attach_by_hand, detach
from gateway.journey.performed_step.auditing import event_of_step
from gateway.operations.answers.performed_steps import LinkOutcome
from gateway.records.audit import Action, Actor, ActorKind
from gateway.records.link_change import LinkAction, LinkChange
from gateway.records.link_target import meant
from gateway.records.performed_matching import Candidate, place_of
from gateway.records.row_ids import OrderRow, PerformedStepRow
from gateway.store import audit, link_changes, performed_steps, step_candidates
from gateway.store.statement import Row

MOST_CHARACTERS: Final = 256
"""Of each word that a person gives."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants. Raises `InvalidValue` for a word that is too long or holds NUL, which PostgreSQL cannot
    keep."""

    sop_uid: str
    """SOP Instance UID of the performed step."""
    person: str
    reason: str = ""
    order: OrderRow | None = None
    accession_number: str = ""
    """Of the order, where that tells it from others."""
    step_id: str = ""
    """Scheduled Procedure Step ID, where the order has several."""

    def __post_init__(self) -> None:
        words = {"uid": self.sop_uid, "by": self.person, "reason": self.reason,
                 "accession": self.accession_number, "step": self.step_id}  # fmt: skip
        for place, word in words.items():
            if len(word) > MOST_CHARACTERS:
                raise InvalidValue(f"{len(word)} characters, at most {MOST_CHARACTERS} are kept", place=place)
            if "\0" in word:
                raise InvalidValue("it holds the character NUL", place=place)


def link(connection: Connection, tools: Tools, wish: Wish, *, now: int) -> LinkOutcome:
    """Link a performed step to a scheduled step, whose order then has its begin and end as a part of its history.

    Raises `UnknownKey` without such a performed step, order or step, `Conflict` when several are meant, `InvalidValue`
    when order and accession number are not of each other.
    """
    performed = _held(connection, wish)
    _agree(connection, wish)
    if wish.order is not None:
        steps = step_candidates.of_order(connection, wish.order)
    elif wish.accession_number:
        steps = step_candidates.of_accession_number(connection, wish.accession_number)
    else:
        raise RequiredMissing("name the order, or its accession number", place="order")
    target = meant(steps, wish.step_id)
    linked = map(place_of, step_candidates.links_of(connection, performed["id"]))
    changed = place_of(target) not in linked
    if changed:
        attach_by_hand(connection, tools, performed, target, now=now)
    return _kept(connection, performed, LinkChange(LinkAction.LINK, target, wish.person, wish.reason, now), changed)


def unlink(connection: Connection, tools: Tools, wish: Wish, *, now: int) -> LinkOutcome:
    """Take the link away: the order is what it would be without the performed step, which no rule links again.

    Raises `UnknownKey` without such a performed step or link, `Conflict` when several links are meant, or when the
    order cannot be rebuilt.
    """
    performed = _held(connection, wish)
    _agree(connection, wish)
    links = step_candidates.links_of(connection, performed["id"])
    ours = {one.order for one in step_candidates.of_accession_number(connection, wish.accession_number)}
    by_order = [one for one in links if wish.order in (None, one.order)]
    fitting = [one for one in by_order if not wish.accession_number or one.order in ours]
    if not fitting:
        raise UnknownKey("the performed step is not linked to such an order", place="order")
    target = meant(fitting, wish.step_id)
    detach(connection, tools, performed, target, now=now)
    return _kept(connection, performed, LinkChange(LinkAction.UNLINK, target, wish.person, wish.reason, now), True)


def _held(connection: Connection, wish: Wish) -> Row:
    performed = performed_steps.hold(connection, wish.sop_uid)
    if performed is None:
        raise UnknownKey("there is no such performed step", place=wish.sop_uid)
    return performed


def _agree(connection: Connection, wish: Wish) -> None:
    if wish.order is None or not wish.accession_number:
        return
    orders = {one.order for one in step_candidates.of_accession_number(connection, wish.accession_number)}
    if wish.order not in orders:
        held = ", ".join(map(str, sorted(orders))) or "no order"
        raise InvalidValue(
            f"order {wish.order} does not have the accession number {wish.accession_number}, which is that of {held}; "
            "name one of the two",
            place="order",
        )


def _kept(connection: Connection, performed: Row, change: LinkChange, changed: bool) -> LinkOutcome:
    if changed:
        link_changes.add(connection, PerformedStepRow(performed["id"]), change)
        note = f"{change.action} of order {change.target.order} step {change.target.step_id}"
        event = event_of_step(
            performed["sop_uid"], performed["attributes"], Actor(change.person, ActorKind.PERSON), Action.UPDATE,
            change.changed_at, note=note,
        )  # fmt: skip
        audit.record(connection, event)
    target: Candidate = change.target
    return LinkOutcome(
        sop_uid=performed["sop_uid"], action=change.action, order=target.order, study_uid=target.study_uid,
        step_id=target.step_id, person=change.person, reason=change.reason, changed_at=change.changed_at,
        changed=changed,
    )  # fmt: skip
