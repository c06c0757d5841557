"""What is due at one time, in the order of its ids"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_ACTIVE = sa.text("state IN ('pending', 'leased')")


def upgrade() -> None:
    op.drop_index("ix_outbox_active_due", table_name="outbox")
    op.create_index(
        "ix_outbox_active_due", "outbox", ["kind", "due_at", "id"], sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
    )
