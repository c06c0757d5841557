"""References of delivered resources that an EHR could not resolve yet"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "missing_links",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("ehr", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False, comment="Of the looks for what a delivered resource lacks"),
        sa.Column("kind", sa.Text, nullable=False, comment="FHIR resource type of what it refers to"),
        sa.Column("identifier", sa.Text, nullable=False, comment="system|value of what it refers to"),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_missing_links")),
    )
    for columns in (["ehr", "kind", "identifier"], ["ehr", "lane"]):
        op.create_index(op.f("ix_missing_links_" + "_".join(columns)), "missing_links", columns)
