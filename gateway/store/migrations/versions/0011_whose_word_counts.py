"""Studies and series whose attributes do not depend on the order in which instances came"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("studies", "series"):
        op.add_column(
            table,
            sa.Column(
                "sources", sa.Text, nullable=False, server_default="{}",
                comment="Keyword -> SOP Instance UID it comes from",
            ),
        )  # fmt: skip
