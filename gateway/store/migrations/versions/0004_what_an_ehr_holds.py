"""What each EHR holds of ours: ids and versions of the resources that were written or found there"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ehr_resources",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("ehr", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False, comment="FHIR resource type"),
        sa.Column("identifier", sa.Text, nullable=False, comment="system|value by which it is known to us"),
        sa.Column("resource_id", sa.Text, nullable=False, comment="Its logical id over there"),
        sa.Column("version", sa.Text, nullable=False, comment="meta.versionId that we saw last, empty: unknown"),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of what we wrote last, empty: only found"),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ehr_resources")),
        sa.UniqueConstraint("ehr", "kind", "identifier", name=op.f("uq_ehr_resources_ehr_kind_identifier")),
    )
