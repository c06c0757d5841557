"""Studies that are looked for by their patient, when two patients turn out to be one"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_studies_patient_id"), "studies", ["patient_id"])
