"""Items of Scheduled Step Attributes Sequences that led to no scheduled step: they wait for an order, or a person."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.records.performed_step import ScheduledItem
from gateway.records.row_ids import PerformedStepRow
from gateway.records.step import StepEvent
from gateway.store.schema import performed_steps, unlinked_items
from gateway.store.statement import Row, Statement

_ITEMS: Final = unlinked_items
_ADD: Final = Statement(
    insert(_ITEMS), ("performed_step", "study_uid", "step_id", "accession", "procedure_id", "by_person")
)
_REMOVE: Final = delete(_ITEMS).where(_ITEMS.c.id == bindparam("the_row"))
_OF_STEP: Final = Statement(
    select(_ITEMS).where(_ITEMS.c.performed_step == bindparam("the_step")).order_by(_ITEMS.c.id)
)


class UnlinkedItem(NamedTuple):
    """An item and its row."""

    row: int
    performed_step: PerformedStepRow
    item: ScheduledItem
    by_person: bool
    """A person took the link away: no rule links the item again."""


def add(connection: Connection, performed_step: PerformedStepRow, item: ScheduledItem, *, by_person: bool) -> None:
    """Let an item wait. `by_person`: because a person took its link away."""
    _ADD.add_later(
        connection,
        {
            "performed_step": performed_step,
            "study_uid": item.study_uid,
            "step_id": item.step_id,
            "accession": item.accession_number,
            "procedure_id": item.procedure_id,
            "by_person": by_person,
        },
    )


def remove(connection: Connection, row: int) -> None:
    """The item is linked, and waits no longer."""
    connection.execute(_REMOVE, {"the_row": row})


def of_step(connection: Connection, performed_step: PerformedStepRow) -> list[UnlinkedItem]:
    """The items of a performed step that wait."""
    return [_item(row) for row in _OF_STEP.rows(connection, {"the_step": performed_step})]


def _item(row: Row) -> UnlinkedItem:
    item = ScheduledItem(row["study_uid"], row["step_id"], row["accession"], row["procedure_id"])
    return UnlinkedItem(row["id"], PerformedStepRow(row["performed_step"]), item, row["by_person"])


def steps_with(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """Performed steps of which an item waits, the newest first; without those that a wrong worklist entry began."""
    waiting = select(_ITEMS.c.performed_step)
    is_meant = performed_steps.c.end_event != StepEvent.PPS_WRONG_ENTRY.value
    wanted = select(performed_steps).where(performed_steps.c.id.in_(waiting), is_meant)
    wanted = wanted.order_by(performed_steps.c.begun_at.desc(), performed_steps.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(wanted).mappings()]
