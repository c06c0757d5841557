"""Merges of patients that come in another order than they were stated"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, comment in (("merged_at", "EVN-2 of the A40 or A47"), ("first_at", "Of the oldest statement")):
        op.add_column(
            "patients", sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"), comment=comment)
        )
    op.add_column(
        "patients",
        sa.Column("own", sa.Text, nullable=True, comment="Of who absorbed others: {attributes, said} without theirs"),
    )
    there = sa.text("merged_into IS NOT NULL")
    op.create_index("ix_patients_merged_into", "patients", ["merged_into"], sqlite_where=there, postgresql_where=there)
