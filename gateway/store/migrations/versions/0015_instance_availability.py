"""Instance Availability Notifications"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "availability_notifications",
        sa.Column("id", Key, nullable=False),
        sa.Column("sop_uid", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("calling_ae", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("findings", sa.Text, nullable=False, comment="Deviations from the standard: [{place, text}]"),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_availability_notifications"),
        sa.UniqueConstraint("sop_uid", name="uq_availability_notifications_sop_uid"),
    )
    op.create_index("ix_availability_notifications_study_uid", "availability_notifications", ["study_uid"])
