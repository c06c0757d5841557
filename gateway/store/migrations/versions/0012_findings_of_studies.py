"""What was remarkable of a study when it settled, and of an instance when it arrived"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column(
        "studies",
        sa.Column(
            "findings", sa.Text, nullable=False, server_default="[]",
            comment="What was remarkable when it settled last: [{place, text}]",
        ),
    )  # fmt: skip
    op.create_table(
        "instance_findings",
        sa.Column("instance", Key, sa.ForeignKey("instances.id", name="fk_instance_findings_instance"),
                  autoincrement=False, nullable=False),
        sa.Column("findings", sa.Text, nullable=False, comment="What could not be read of it: [{place, text}]"),
        sa.PrimaryKeyConstraint("instance", name="pk_instance_findings"),
    )  # fmt: skip
    op.create_index("ix_instances_sop_uid", "instances", ["sop_uid"])
    op.create_index("ix_series_series_uid", "series", ["series_uid"])
