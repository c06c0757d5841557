"""Orders that are looked for by a Study Instance UID which no procedure of theirs has yet"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "orders",
        sa.Column(
            "study_uid", sa.Text, nullable=False, server_default=sa.text("''"),
            comment="Stated, but of no procedure yet",
        ),
    )  # fmt: skip
    there = sa.text("study_uid <> ''")
    op.create_index("ix_orders_study_uid", "orders", ["study_uid"], sqlite_where=there, postgresql_where=there)
