"""Instances that an archive moved to another study, and the UIDs that instances had before"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column(
        "studies",
        sa.Column(
            "moved", sa.Integer, nullable=False, server_default=sa.text("0"),
            comment="Instances of other studies now that its attributes leave out",
        ),
    )  # fmt: skip
    op.create_table(
        "former_uids",
        sa.Column("id", Key, nullable=False),
        sa.Column("instance", Key, sa.ForeignKey("instances.id", name="fk_former_uids_instance"), nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False, comment="Before one modification; empty: not modified then"),
        sa.Column("series_uid", sa.Text, nullable=False, comment="The same"),
        sa.Column("sop_uid", sa.Text, nullable=False, comment="The same"),
        sa.PrimaryKeyConstraint("id", name="pk_former_uids"),
    )
    for column in ("instance", "study_uid", "sop_uid"):
        op.create_index(f"ix_former_uids_{column}", "former_uids", [column])
    op.create_table(
        "moved_instances",
        sa.Column(
            "instance", Key, sa.ForeignKey("instances.id", name="fk_moved_instances_instance"), nullable=False,
            autoincrement=False,
        ),
        sa.Column("study_uid", sa.Text, nullable=False, comment="Where it is kept"),
        sa.Column("to_study_uid", sa.Text, nullable=False, comment="Of which it is now"),
        sa.Column("to_sop_uid", sa.Text, nullable=False, comment="What it is there"),
        sa.Column("moved_at", sa.BigInteger, nullable=False, comment="When that was known"),
        sa.PrimaryKeyConstraint("instance", name="pk_moved_instances"),
    )  # fmt: skip
    for column in ("study_uid", "to_study_uid"):
        op.create_index(f"ix_moved_instances_{column}", "moved_instances", [column])
