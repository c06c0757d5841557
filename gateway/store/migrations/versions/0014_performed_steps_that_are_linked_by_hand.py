"""Performed steps that wait for their order or are linked by hand, and those that a modality has left"""

from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")
ITEM = {
    "study_uid": "StudyInstanceUID", "step_id": "ScheduledProcedureStepID", "accession": "AccessionNumber",
    "procedure_id": "RequestedProcedureID",
}  # fmt: skip


def upgrade() -> None:
    op.add_column(
        "performed_steps",
        sa.Column("silent_at", sa.BigInteger, nullable=True, comment="Since when it is known to give no sign of life"),
    )
    open_ones = sa.text("state = 'IN PROGRESS'")
    op.create_index(
        "ix_performed_steps_open", "performed_steps", ["updated_at"], sqlite_where=open_ones, postgresql_where=open_ones
    )
    items = op.create_table(
        "unlinked_items",
        sa.Column("id", Key, nullable=False),
        sa.Column("performed_step", Key,
                  sa.ForeignKey("performed_steps.id", name="fk_unlinked_items_performed_step"), nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("step_id", sa.Text, nullable=False),
        sa.Column("accession", sa.Text, nullable=False),
        sa.Column("procedure_id", sa.Text, nullable=False),
        sa.Column("by_person", sa.Boolean, nullable=False,
                  comment="A person took the link away; no rule links it again"),
        sa.PrimaryKeyConstraint("id", name="pk_unlinked_items"),
    )  # fmt: skip
    op.create_index("ix_unlinked_items_performed_step", "unlinked_items", ["performed_step"])
    op.create_index("ix_unlinked_items_study_uid", "unlinked_items", ["study_uid"])
    op.create_index("ix_unlinked_items_accession", "unlinked_items", ["accession"])
    op.create_table(
        "link_changes",
        sa.Column("id", Key, nullable=False),
        sa.Column("performed_step", Key,
                  sa.ForeignKey("performed_steps.id", name="fk_link_changes_performed_step"), nullable=False),
        sa.Column("order", Key, sa.ForeignKey("orders.id", name="fk_link_changes_order"), nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False, comment="Of the scheduled step's procedure"),
        sa.Column("step_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False, comment="link or unlink"),
        sa.Column("person", sa.Text, nullable=False, comment="Who did it"),
        sa.Column("reason", sa.Text, nullable=False, comment="Why, in the person's words; may be empty"),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_link_changes"),
    )  # fmt: skip
    op.create_index("ix_link_changes_performed_step", "link_changes", ["performed_step"])
    op.create_index("ix_link_changes_order", "link_changes", ["order"])
    if waiting := list(_waiting(op.get_bind())):
        op.bulk_insert(items, waiting)


def _waiting(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    """The items of those performed steps that no scheduled step is linked to yet."""
    linked = sa.text(
        "SELECT id, attributes FROM performed_steps WHERE id NOT IN (SELECT performed_step FROM performed_step_links)"
    )
    for row, attributes in connection.execute(linked).all():
        stated = orjson.loads(attributes).get("ScheduledStepAttributesSequence")
        for item in stated if isinstance(stated, list) else ():
            values = {column: str(item.get(keyword) or "").strip() for column, keyword in ITEM.items()}
            yield {"performed_step": row, **values, "by_person": False}
