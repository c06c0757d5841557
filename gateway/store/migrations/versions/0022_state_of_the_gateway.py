"""Backups that were made, and whose associations were refused"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "backups",
        sa.Column("id", Key, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backups"),
    )
    op.add_column(
        "refusals",
        sa.Column(
            "calling_ae", sa.Text, nullable=False, server_default=sa.text("''"),
            comment="Whose association or context it was; empty: nothing of DICOM",
        ),
    )  # fmt: skip
