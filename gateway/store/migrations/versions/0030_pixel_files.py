"""Instances with their pixels: files of the spool, and files that are to be deleted"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "pixel_files",
        sa.Column("id", Key, nullable=False),
        sa.Column("instance", Key, nullable=False),
        sa.Column("file", sa.Text, nullable=False, comment="Name in the folder of the spool"),
        sa.Column("size", sa.BigInteger, nullable=False, comment="Bytes of the file"),
        sa.Column(
            "sha256", sa.LargeBinary, nullable=False,
            comment="Of the data set as it came, without File Meta Information",
        ),
        sa.Column("transfer_syntax_uid", sa.Text, nullable=False),
        sa.Column("stored_at", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger, nullable=True, comment="When nobody needed the file any more"),
        sa.Column(
            "missing_at", sa.BigInteger, nullable=True, comment="When the file was looked for and was not there"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pixel_files"),
        sa.ForeignKeyConstraint(["instance"], ["instances.id"], name="fk_pixel_files_instance"),
        sa.UniqueConstraint("instance", name="uq_pixel_files_instance"),
        sa.UniqueConstraint("file", name="uq_pixel_files_file"),
    )  # fmt: skip
    op.create_index(
        "ix_pixel_files_kept", "pixel_files", ["id", "size"],
        sqlite_where=sa.text("removed_at IS NULL"), postgresql_where=sa.text("removed_at IS NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_pixel_files_missing", "pixel_files", ["id"],
        sqlite_where=sa.text("missing_at IS NOT NULL"), postgresql_where=sa.text("missing_at IS NOT NULL"),
    )  # fmt: skip
    op.create_table(
        "released_files",
        sa.Column("id", Key, nullable=False),
        sa.Column("file", sa.Text, nullable=False, comment="Name in the folder of the spool"),
        sa.Column("size", sa.BigInteger, nullable=False, comment="Bytes of the file"),
        sa.PrimaryKeyConstraint("id", name="pk_released_files"),
    )
