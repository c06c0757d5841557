"""Receivers that are paused, and what of a receiver or a cause waits for a person"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("receiver", sa.Text, nullable=False, comment="Name of an EHR or a destination"),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("person", sa.Text, nullable=False, comment="Who did it"),
        sa.Column("note", sa.Text, nullable=False, comment="Why, in the person's words; may be empty"),
        sa.PrimaryKeyConstraint("receiver", name="pk_pauses"),
    )
    op.create_index("ix_outbox_kind_state_id", "outbox", ["kind", "state", "id"])
    stuck = sa.text("state IN ('parked', 'rejected')")
    op.create_index(
        "ix_outbox_stuck", "outbox", ["cause", "id", "finished_at"], sqlite_where=stuck, postgresql_where=stuck
    )
