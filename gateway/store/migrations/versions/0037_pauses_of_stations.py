"""The longest pause between two instances of a study"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "studies",
        sa.Column("longest_pause", sa.BigInteger, nullable=True, comment="Between two of its instances, microseconds"),
    )
