"""Sources of studies that are asked: how far, and what of their studies was read"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "source_watermarks",
        sa.Column("source", sa.Text, nullable=False, comment="Its name in the configuration"),
        sa.Column(
            "watermark", sa.Text, nullable=False, comment="How far it was listed, in its own terms and for people"
        ),
        sa.Column("polled_at", sa.BigInteger, nullable=True, comment="When a poll came to its end last"),
        sa.Column("failed_at", sa.BigInteger, nullable=True, comment="Since when polls fail"),
        sa.Column("error", sa.Text, nullable=False, comment="Why it failed"),
        sa.Column("listed", sa.BigInteger, nullable=False, comment="Studies in all answers"),
        sa.Column("wanted", sa.BigInteger, nullable=False, comment="Those of them that were new or changed"),
        sa.Column("dropped", sa.BigInteger, nullable=False, comment="Answers that the question excludes"),
        sa.PrimaryKeyConstraint("source", name="pk_source_watermarks"),
    )
    op.create_table(
        "source_studies",
        sa.Column("id", Key, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the Study Instance UID"),
        sa.Column("state", sa.Text, nullable=False, comment="What the source stated of it when it was read"),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_source_studies"),
        sa.UniqueConstraint("source", "digest", name="uq_source_studies_source_digest"),
    )
