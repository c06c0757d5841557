"""Storage commitment: what modalities asked, and what archives were asked"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "storage_commitments",
        sa.Column("id", Key, nullable=False),
        sa.Column("transaction_uid", sa.Text, nullable=False),
        sa.Column("calling_ae", sa.Text, nullable=False),
        sa.Column(
            "digest", sa.LargeBinary, nullable=False,
            comment="Of the references: tells a repetition from another request",
        ),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=True, comment="When it was clear what is reported"),
        sa.Column("reported_at", sa.BigInteger, nullable=True),
        sa.Column(
            "work", sa.BigInteger, nullable=False, server_default="0",
            comment="The newest row of the outbox that reports",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_storage_commitments"),
        sa.UniqueConstraint(
            "transaction_uid", "calling_ae", "digest",
            name="uq_storage_commitments_transaction_uid_calling_ae_digest"
        ),
    )  # fmt: skip
    op.create_index("ix_storage_commitments_work", "storage_commitments", ["work"])
    op.create_table(
        "commitment_instances",
        sa.Column("id", Key, nullable=False),
        sa.Column("commitment", Key, nullable=False),
        sa.Column("sop_class_uid", sa.Text, nullable=False),
        sa.Column("sop_uid", sa.Text, nullable=False),
        sa.Column("failure_reason", sa.Integer, nullable=True, comment="Failure Reason (0008,1197)"),
        sa.PrimaryKeyConstraint("id", name="pk_commitment_instances"),
        sa.ForeignKeyConstraint(
            ["commitment"], ["storage_commitments.id"], name="fk_commitment_instances_commitment"
        ),
    )  # fmt: skip
    op.create_index("ix_commitment_instances_commitment_sop_uid", "commitment_instances", ["commitment", "sop_uid"])
    op.create_index("ix_commitment_instances_sop_uid", "commitment_instances", ["sop_uid"])
    op.create_table(
        "asked_commitments",
        sa.Column("id", Key, nullable=False),
        sa.Column("transaction_uid", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("answered_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_asked_commitments"),
        sa.UniqueConstraint("transaction_uid", name="uq_asked_commitments_transaction_uid"),
    )
    op.create_index("ix_asked_commitments_study_uid", "asked_commitments", ["study_uid"])
    op.create_table(
        "archive_commitments",
        sa.Column("id", Key, nullable=False),
        sa.Column("work", sa.BigInteger, nullable=False, comment="The row of the outbox that sent the instance"),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("sop_uid", sa.Text, nullable=False),
        sa.Column("first_asked", sa.BigInteger, nullable=False, comment="The first transaction that names it"),
        sa.Column("asked_at", sa.BigInteger, nullable=True, comment="When a request was taken last, steady time"),
        sa.Column("committed_at", sa.BigInteger, nullable=True),
        sa.Column("failure_reason", sa.Integer, nullable=True, comment="Failure Reason (0008,1197)"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="Of this instance there, in all"),
        sa.PrimaryKeyConstraint("id", name="pk_archive_commitments"),
        sa.UniqueConstraint("work", name="uq_archive_commitments_work"),
    )
    op.create_index("ix_archive_commitments_destination_sop_uid", "archive_commitments", ["destination", "sop_uid"])
