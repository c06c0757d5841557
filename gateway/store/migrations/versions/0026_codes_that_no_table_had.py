"""Codes that no table had, counted by day; an index of messages whose type is not served"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "unknown_codes",
        sa.Column("id", Key, nullable=False),
        sa.Column("day", sa.BigInteger, nullable=False, comment="Since 1970 UTC"),
        sa.Column("code_table", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("message", Key, nullable=True, comment="The last with it"),
        sa.Column("study_uid", sa.Text, nullable=False, server_default=sa.text("''"), comment="The last with it"),
        sa.PrimaryKeyConstraint("id", name="pk_unknown_codes"),
        sa.UniqueConstraint("day", "code_table", "code", name="uq_unknown_codes_day_code_table_code"),
    )
    op.create_index(
        "ix_messages_unserved", "messages", ["id", "type"],
        sqlite_where=sa.text("unserved = 1"), postgresql_where=sa.text("unserved"),
    )  # fmt: skip
