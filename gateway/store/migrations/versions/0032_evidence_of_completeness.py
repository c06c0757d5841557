"""What is stated of how much a study holds, and why it settled"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "study_evidence",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False, comment="By which it is stated: a UID, or an archive's name"),
        sa.Column("sop_uids", sa.Text, nullable=False, comment="The instances that are named"),
        sa.Column("series", sa.Integer, nullable=True, comment="How many; null: not stated"),
        sa.Column("instances", sa.Integer, nullable=True, comment="How many; null: not stated"),
        sa.Column("stated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_study_evidence"),
        sa.UniqueConstraint("study_uid", "kind", "source", name="uq_study_evidence_study_uid_kind_source"),
    )
    op.add_column(
        "studies",
        sa.Column(
            "grown_revision", sa.Integer, nullable=False, server_default=sa.text("0"),
            comment="The newest that an instance made",
        ),
    )  # fmt: skip
    op.add_column(
        "studies", sa.Column("settled_because", sa.Text, nullable=True, comment="Why it settled last: {reason, ...}")
    )
