"""Orders that persons linked with studies, or took away from them: the newest word on each counts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.link_change import LinkAction
from gateway.records.order_check import StudyLink
from gateway.records.row_ids import OrderRow
from gateway.store.schema import study_links
from gateway.store.statement import Statement

_OF_STUDY: Final = Statement(
    select(
        study_links.c.order, study_links.c.action, study_links.c.person, study_links.c.reason,
        study_links.c.changed_at,
    )
    .where(study_links.c.study_uid == bindparam("the_study"))
    .order_by(study_links.c.id)
)  # fmt: skip


def add(connection: Connection, study_uid: StudyInstanceUID, link: StudyLink) -> None:
    """Note what a person decided."""
    row = {
        "study_uid": study_uid, "order": link.order, "person": link.person, "reason": link.reason,
        "action": (LinkAction.LINK if link.is_linked else LinkAction.UNLINK).value, "changed_at": link.changed_at,
    }  # fmt: skip
    connection.execute(insert(study_links), row)


def history(connection: Connection, study_uid: StudyInstanceUID) -> list[StudyLink]:
    """All that persons decided of a study, the oldest first."""
    return [
        StudyLink(OrderRow(order), action == LinkAction.LINK, person, reason, changed_at)
        for order, action, person, reason, changed_at in _OF_STUDY.found(connection, {"the_study": study_uid})
    ]


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> list[StudyLink]:
    """What counts today of each order."""
    return list({one.order: one for one in history(connection, study_uid)}.values())


def join(connection: Connection, kept: OrderRow, gone: OrderRow) -> None:
    """Let two rows of an order be one. A study that a person linked with either is linked with it, whatever was decided
    of the other."""
    columns = study_links.c
    wanted = select(columns.study_uid, columns.order, columns.action).where(columns.order.in_((kept, gone)))
    newest = {(row.study_uid, row.order): row.action for row in connection.execute(wanted.order_by(columns.id))}
    linked = {study_uid for (study_uid, _), action in newest.items() if action == LinkAction.LINK}
    for (study_uid, order), action in newest.items():
        if study_uid in linked and action != LinkAction.LINK:
            connection.execute(delete(study_links).where(columns.study_uid == study_uid, columns.order == order))
    connection.execute(update(study_links).where(columns.order == gone).values(order=kept))
