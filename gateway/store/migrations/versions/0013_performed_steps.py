"""Performed steps (MPPS), and the scheduled steps that they carry out"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column(
        "orders",
        sa.Column(
            "performed_at", sa.BigInteger, nullable=False, server_default=sa.text("0"),
            comment="Of the newest MPPS event",
        ),
    )  # fmt: skip
    op.create_table(
        "performed_steps",
        sa.Column("id", Key, nullable=False),
        sa.Column("sop_uid", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, comment="Performed Procedure Step Status"),
        sa.Column("calling_ae", sa.Text, nullable=False),
        sa.Column("accession", sa.Text, nullable=False, comment="As the modality states it; empty: it does not"),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("findings", sa.Text, nullable=False,
                  comment="Deviations from standard and order: [{place, text}]"),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the attributes of the N-CREATE"),
        sa.Column("begun_at", sa.BigInteger, nullable=False, comment="When it began, for the order's history"),
        sa.Column("ended_at", sa.BigInteger, nullable=True, comment="When it ended, for the order's history"),
        sa.Column("end_event", sa.Text, nullable=False,
                  comment="What its end is to the scheduled steps; empty: in progress"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_performed_steps"),
        sa.UniqueConstraint("sop_uid", name="uq_performed_steps_sop_uid"),
    )  # fmt: skip
    op.create_index("ix_performed_steps_accession", "performed_steps", ["accession"])
    op.create_table(
        "performed_step_links",
        sa.Column("id", Key, nullable=False),
        sa.Column("performed_step", Key,
                  sa.ForeignKey("performed_steps.id", name="fk_performed_step_links_performed_step"), nullable=False),
        sa.Column("order", Key, sa.ForeignKey("orders.id", name="fk_performed_step_links_order"), nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False, comment="Of the scheduled step's procedure"),
        sa.Column("step_id", sa.Text, nullable=False),
        sa.Column("match", sa.Text, nullable=False, comment="What led to the scheduled step"),
        sa.PrimaryKeyConstraint("id", name="pk_performed_step_links"),
        sa.UniqueConstraint("performed_step", "order", "study_uid", "step_id",
                            name="uq_performed_step_links_performed_step_order_study_uid_step_id"),
    )  # fmt: skip
    op.create_index("ix_performed_step_links_order", "performed_step_links", ["order"])
