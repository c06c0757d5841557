"""Series and instances that do not count as parts of their study"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "exclusions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("uid", sa.Text, nullable=False, comment="Series or SOP Instance UID"),
        sa.Column("level", sa.Text, nullable=False, comment="series or instance"),
        sa.Column("person", sa.Text, nullable=False, comment="Who did it"),
        sa.Column("note", sa.Text, nullable=False, comment="Why, in the person's words; may be empty"),
        sa.Column("excluded_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True, comment="When it was taken back; null: it is in force"),
        sa.Column("ended_by", sa.Text, nullable=False, server_default=sa.text("''"), comment="Who took it back"),
        sa.Column("end_note", sa.Text, nullable=False, server_default=sa.text("''"), comment="Why it was taken back"),
        sa.PrimaryKeyConstraint("id", name="pk_exclusions"),
    )
    op.create_index("ix_exclusions_study_uid", "exclusions", ["study_uid"])
