"""The audit trail, and how far its repositories have been sent"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_waiting",
        sa.Column("id", KEY, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, comment="Of events"),
        sa.Column("events", sa.Text, nullable=False, comment="Canonical JSON, a line for each"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_waiting"),
    )
    op.create_table(
        "audit",
        sa.Column("sequence", KEY, nullable=False, autoincrement=False),
        sa.Column("moment", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("event", sa.Text, nullable=False, comment="Canonical JSON, of which the other columns are taken"),
        sa.Column(
            "hash", sa.LargeBinary, nullable=False,
            comment="SHA-256 over the hash before it, the sequence and the event",
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
    )  # fmt: skip
    op.create_index("ix_audit_kind_sequence", "audit", ["kind", "sequence"])
    op.create_index("ix_audit_actor_sequence", "audit", ["actor", "sequence"])
    op.create_table(
        "audit_patients",
        sa.Column("patient_id", NAME, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("patient_id", "sequence", name="pk_audit_patients"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_anchors",
        sa.Column("id", KEY, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, comment="Of the last row that was removed"),
        sa.Column(
            "hash", sa.LargeBinary, nullable=False,
            comment="Of that row: what the first row that is left builds on",
        ),
        sa.Column("removed", sa.BigInteger, nullable=False, comment="Rows, in all"),
        sa.Column("moved_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_anchors"),
    )  # fmt: skip
    op.create_table(
        "audit_repositories",
        sa.Column("name", sa.Text, nullable=False, comment="In the configuration"),
        sa.Column("sequence", sa.BigInteger, nullable=False, comment="Of the last row that was sent or skipped"),
        sa.Column(
            "skipped", sa.BigInteger, nullable=False, server_default=sa.text("0"), comment="Rows that were never sent"
        ),
        sa.Column("away_since", sa.BigInteger, nullable=True),
        sa.Column(
            "reason", sa.Text, nullable=False, server_default=sa.text("''"), comment="Why the last try failed"
        ),
        sa.Column("sent_at", sa.BigInteger, nullable=True),
        sa.Column(
            "holder", sa.Text, nullable=False, server_default=sa.text("''"), comment="The process that sends"
        ),
        sa.Column("held_until", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("name", name="pk_audit_repositories"),
    )  # fmt: skip
