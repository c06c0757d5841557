"""Parents of orders that are named by their filler order number"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "orders",
        sa.Column(
            "parent_filler", sa.Text, nullable=False, server_default=sa.text("''"),
            comment="Its filler number, without placer",
        ),
    )  # fmt: skip
    there = sa.text("parent_filler <> ''")
    op.create_index("ix_orders_parent_filler", "orders", ["parent_filler"], sqlite_where=there, postgresql_where=there)
