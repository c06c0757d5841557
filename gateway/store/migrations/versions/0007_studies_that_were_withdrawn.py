"""Studies of which a person said that they are not what they claim to be"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "studies",
        sa.Column("withdrawn_at", sa.BigInteger, nullable=True, comment="When a person said that it is in error"),
    )
