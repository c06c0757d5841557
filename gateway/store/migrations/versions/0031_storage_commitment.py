"""Storage commitment: transactions and the instances that they name"""

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
