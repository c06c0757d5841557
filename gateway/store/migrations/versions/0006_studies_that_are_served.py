"""ImagingStudy resources that others may read from the gateway itself, and what they are found by"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "imaging_studies",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, comment="Of the study, that was looked at last"),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the resource"),
        sa.Column("started_from", sa.BigInteger, nullable=False),
        sa.Column("started_to", sa.BigInteger, nullable=False),
        sa.Column("resource", sa.Text, nullable=False, comment="FHIR R4 ImagingStudy as it is served to those who ask"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imaging_studies")),
        sa.UniqueConstraint("study_uid", name=op.f("uq_imaging_studies_study_uid")),
    )
    op.create_index(op.f("ix_imaging_studies_updated_at_id"), "imaging_studies", ["updated_at", "id"])
    op.create_index(op.f("ix_imaging_studies_started_from_id"), "imaging_studies", ["started_from", "id"])
    op.create_table(
        "imaging_study_tokens",
        sa.Column("id", KEY, nullable=False),
        sa.Column("imaging_study", KEY, nullable=False),
        sa.Column("parameter", sa.Text, nullable=False, comment="FHIR search parameter"),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["imaging_study"], ["imaging_studies.id"], name=op.f("fk_imaging_study_tokens_imaging_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imaging_study_tokens")),
    )
    op.create_index(op.f("ix_imaging_study_tokens_imaging_study"), "imaging_study_tokens", ["imaging_study"])
    op.create_index(
        "ix_imaging_study_tokens_found", "imaging_study_tokens", ["value", "parameter", "system", "imaging_study"]
    )
