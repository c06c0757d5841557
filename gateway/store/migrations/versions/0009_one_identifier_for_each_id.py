"""An id of an EHR belongs to one identifier"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rows = sa.table("ehr_resources", *(sa.column(name) for name in ("id", "ehr", "kind", "resource_id", "written_at")))
    newer = rows.alias("newer")
    same = sa.and_(
        newer.c.ehr == rows.c.ehr, newer.c.kind == rows.c.kind, newer.c.resource_id == rows.c.resource_id
    )  # fmt: skip
    later = sa.or_(
        newer.c.written_at > rows.c.written_at,
        sa.and_(newer.c.written_at == rows.c.written_at, newer.c.id > rows.c.id),
    )
    # Of several identifiers for one id the newest counts: the EHR gave the id again after it had lost the resource.
    op.get_bind().execute(rows.delete().where(sa.exists().where(same, later)))
    op.create_index("ix_ehr_resources_id", "ehr_resources", ["ehr", "kind", "resource_id"], unique=True)
