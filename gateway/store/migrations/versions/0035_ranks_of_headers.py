"""How much of an instance its source gave"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "instances",
        sa.Column(
            "header_rank", sa.Integer, nullable=False, server_default="3",
            comment="How much its source gave: 1 an answer to a query, 2 metadata, 3 its data set",
        ),
    )  # fmt: skip
