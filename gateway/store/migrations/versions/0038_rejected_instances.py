"""How many instances of a study are rejected and say nothing of it"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "studies",
        sa.Column(
            "rejected", sa.Integer, nullable=False, server_default=sa.text("0"),
            comment="Instances that rejection notes leave out of its attributes",
        ),
    )  # fmt: skip
