"""What studies and their orders state differently, links between both, and runs of reconcile"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")
EMPTY = sa.text("''")


def upgrade() -> None:
    op.add_column(
        "studies",
        sa.Column(
            "order_standing", sa.Text, nullable=False, server_default=EMPTY,
            comment="With its orders; empty: not known",
        ),
    )  # fmt: skip
    where = sa.text("order_standing NOT IN ('', 'linked')")
    op.create_index(
        "ix_studies_order_standing", "studies", ["order_standing", "id"], sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "study_requests",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("accession", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_study_requests"),
        sa.UniqueConstraint("study_uid", "accession", name="uq_study_requests_study_uid_accession"),
    )
    op.create_index("ix_study_requests_accession", "study_requests", ["accession"])
    op.create_table(
        "study_links",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("order", Key, nullable=False),
        sa.Column("action", sa.Text, nullable=False, comment="link or unlink"),
        sa.Column("person", sa.Text, nullable=False, comment="Who did it"),
        sa.Column("reason", sa.Text, nullable=False, comment="Why, in the person's words; may be empty"),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_study_links"),
    )
    op.create_index("ix_study_links_study_uid", "study_links", ["study_uid"])
    op.create_index("ix_study_links_order", "study_links", ["order"])
    op.create_table(
        "order_conflicts",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("order", Key, nullable=False),
        sa.Column("check", sa.Text, nullable=False, comment="What differs"),
        sa.Column("policy", sa.Text, nullable=False, comment="warn or hold"),
        sa.Column("images", sa.Text, nullable=False, comment="As the images have it"),
        sa.Column("ordered", sa.Text, nullable=False, comment="As the order has it"),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True, comment="When it was not so any more; null: it is so"),
        sa.Column("released_at", sa.BigInteger, nullable=True, comment="When a person released it; null: nobody did"),
        sa.Column("released_by", sa.Text, nullable=False, server_default=EMPTY),
        sa.Column(
            "release_reason", sa.Text, nullable=False, server_default=EMPTY, comment="In the person's words"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_order_conflicts"),
    )  # fmt: skip
    op.create_index("ix_order_conflicts_study_uid", "order_conflicts", ["study_uid"])
    op.create_index("ix_order_conflicts_order", "order_conflicts", ["order"])
    op.create_table(
        "reconciliations",
        sa.Column("id", Key, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True, comment="Null: it is under way, or its process ended"),
        sa.Column("holder", sa.Text, nullable=False, comment="Of one process, made up"),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False, comment="What was compared and how much differs; no UIDs"),
        sa.Column(
            "failure", sa.Text, nullable=False, server_default=EMPTY, comment="Why it did not come to its end"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliations"),
    )  # fmt: skip
