"""Legal holds, runs of retention, studies that were deleted, erasures of patients; performed steps by Patient ID"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "legal_holds",
        sa.Column("id", Key, nullable=False),
        sa.Column("subject", sa.Text, nullable=False, comment="patient or accession"),
        sa.Column("value", sa.Text, nullable=False, comment="Patient ID or accession number"),
        sa.Column("issuer", sa.Text, nullable=False, comment="Of the Patient ID; empty: whoever gave it"),
        sa.Column("person", sa.Text, nullable=False, comment="Who wants it"),
        sa.Column("note", sa.Text, nullable=False, comment="Why, in the person's words"),
        sa.Column("held_at", sa.BigInteger, nullable=False),
        sa.Column("released_at", sa.BigInteger, nullable=True, comment="When it was taken back; null: it is in force"),
        sa.Column("released_by", sa.Text, nullable=False, server_default=sa.text("''"), comment="Who took it back"),
        sa.Column(
            "release_note", sa.Text, nullable=False, server_default=sa.text("''"), comment="Why it was taken back"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_legal_holds"),
    )
    op.create_index("ix_legal_holds_value", "legal_holds", ["value"])
    op.create_index(
        "ix_legal_holds_in_force", "legal_holds", ["id"],
        sqlite_where=sa.text("released_at IS NULL"), postgresql_where=sa.text("released_at IS NULL"),
    )  # fmt: skip
    op.create_table(
        "retention_runs",
        sa.Column("id", Key, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True, comment="Null: it is under way, or its process ended"),
        sa.Column("holder", sa.Text, nullable=False, comment="Of one process, made up"),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False, comment="Where it is"),
        sa.Column("tallies", sa.Text, nullable=False, comment="Kind -> {deleted, stayed, failed}"),
        sa.Column("bytes_before", sa.BigInteger, nullable=True, comment="Of the SQLite file"),
        sa.Column("bytes_after", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_retention_runs"),
    )
    op.create_table(
        "deleted_studies",
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the Study Instance UID"),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
        sa.Column("instances", sa.BigInteger, nullable=False, comment="How many it had"),
        sa.PrimaryKeyConstraint("digest", name="pk_deleted_studies"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", Key, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True, comment="Null: not all is deleted yet"),
        sa.Column("pseudonym", sa.Text, nullable=False, comment="Begin of the SHA-256 of Patient ID and issuer"),
        sa.Column("person", sa.Text, nullable=False, comment="Who wants it"),
        sa.Column("note", sa.Text, nullable=False, comment="Why, in the person's words"),
        sa.Column("targets", sa.Text, nullable=False, comment="What is looked for; empty once all is deleted"),
        sa.Column("deleted", sa.Text, nullable=False, comment="Table -> rows"),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.add_column(
        "performed_steps",
        sa.Column(
            "patient_id", sa.Text, nullable=False, server_default=sa.text("''"), comment="As the modality states it"
        ),
    )
    op.execute(_PATIENT_IDS[op.get_bind().dialect.name])
    op.create_index(
        "ix_performed_steps_patient_id", "performed_steps", ["patient_id"],
        sqlite_where=sa.text("patient_id <> ''"), postgresql_where=sa.text("patient_id <> ''"),
    )  # fmt: skip


_PATIENT_IDS = {
    "sqlite": "UPDATE performed_steps SET patient_id = coalesce(json_extract(attributes, '$.PatientID'), '')",
    "postgresql": "UPDATE performed_steps SET patient_id = coalesce(attributes::json ->> 'PatientID', '')",
}
