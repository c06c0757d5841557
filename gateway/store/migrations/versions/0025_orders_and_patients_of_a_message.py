"""Orders and patients of a message are found without reading those of all"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("order_messages", "patient_messages"):
        op.create_index(f"ix_{table}_message", table, ["message"])
