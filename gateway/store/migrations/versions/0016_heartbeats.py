"""A heartbeat of each gateway, and since when work waits by the steady clock"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("gateway", sa.Text, nullable=False, comment="Of one start of a gateway, made up"),
        sa.Column("steady_at", sa.BigInteger, nullable=False),
        sa.Column("wall_at", sa.BigInteger, nullable=False, comment="By the clock that all gateways share"),
        sa.Column("padding", sa.LargeBinary, nullable=False, comment="What a probe of a full disk writes"),
        sa.PrimaryKeyConstraint("gateway", name="pk_heartbeats"),
    )
    op.add_column(
        "outbox",
        sa.Column("waits_since", sa.BigInteger, nullable=False, server_default="0", comment="By the steady clock"),
    )
    op.execute("UPDATE outbox SET waits_since = created_at WHERE state IN ('pending', 'leased')")
