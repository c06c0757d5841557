"""The first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False, comment="MSH-3|MSH-4"),
        sa.Column("control_id", sa.Text(), nullable=False, comment="MSH-10"),
        sa.Column("type", sa.Text(), nullable=False, comment="MSH-9 as TYPE^TRIGGER"),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the bytes that arrived"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="applied, stale, rejected or failed"),
        sa.Column("ack_code", sa.Text(), nullable=False),
        sa.Column("ack", sa.LargeBinary(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False, comment="What was wrong or remarkable: [{place, text}]"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index(
        op.f("ix_messages_sender_control_id_digest"), "messages", ["sender", "control_id", "digest"], unique=False
    )
    op.create_index(op.f("ix_messages_state_id"), "messages", ["state", "id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="Study Instance UID"),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True, comment="Of the last try"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_active_due",
        "outbox",
        ["kind", "due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'leased')"),
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_index(
        "ix_outbox_active_lane",
        "outbox",
        ["lane", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'leased')"),
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_index(op.f("ix_outbox_state_id"), "outbox", ["state", "id"], unique=False)
    op.create_index(op.f("ix_outbox_subject"), "outbox", ["subject"], unique=False)
    op.create_table(
        "patients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("patient_id", "issuer", name=op.f("uq_patients_patient_id_issuer")),
    )
    op.create_table(
        "queries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("calling_ae", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("matches", sa.Integer(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queries")),
    )
    op.create_table(
        "refusals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("refused_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Who sent it: a listener and peer, or an AE title and address"
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="What arrived, up to KEPT_BYTES"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusals")),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("accession", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("patient_issuer", sa.Text(), nullable=False),
        sa.Column("source_ae", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("settled_revision", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("study_uid", name=op.f("uq_studies_study_uid")),
    )
    op.create_index(op.f("ix_studies_accession"), "studies", ["accession"], unique=False)
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "patient",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="None while only a cancel is known",
        ),
        sa.Column("authority", sa.Text(), nullable=False, comment="Issuer of the accession number"),
        sa.Column("accession", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False, comment="Whose numbers those without authority are"),
        sa.Column("placer", sa.Text(), nullable=False, comment="Placer order number, or empty"),
        sa.Column("placer_authority", sa.Text(), nullable=False, comment="Empty: the message did not say"),
        sa.Column("filler", sa.Text(), nullable=False, comment="Filler order number, or empty"),
        sa.Column("filler_authority", sa.Text(), nullable=False, comment="Empty: the message did not say"),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column(
            "event_at",
            sa.BigInteger(),
            nullable=False,
            comment="Of the newest message applied to any of its procedures",
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_orders_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_index(op.f("ix_orders_accession"), "orders", ["accession"], unique=False)
    op.create_index(op.f("ix_orders_filler"), "orders", ["filler"], unique=False)
    op.create_index(op.f("ix_orders_patient"), "orders", ["patient"], unique=False)
    op.create_index(op.f("ix_orders_placer"), "orders", ["placer"], unique=False)
    op.create_table(
        "query_matches",
        sa.Column("query", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["query"], ["queries.id"], name=op.f("fk_query_matches_query"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("query", "step", name=op.f("pk_query_matches")),
    )
    op.create_index(op.f("ix_query_matches_step"), "query_matches", ["step"], unique=False)
    op.create_table(
        "series",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("series_uid", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.id"], name=op.f("fk_series_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("study", "series_uid", name=op.f("uq_series_study_series_uid")),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("series", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sop_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False, comment="Encoded data set up to the pixel data, zlib"),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the header"),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_instances_series")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("series", "sop_uid", name=op.f("uq_instances_series_sop_uid")),
    )
    op.create_table(
        "order_messages",
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["messages.id"], name=op.f("fk_order_messages_message")),
        sa.ForeignKeyConstraint(["order"], ["orders.id"], name=op.f("fk_order_messages_order")),
        sa.PrimaryKeyConstraint("order", "message", name=op.f("pk_order_messages")),
    )
    op.create_table(
        "procedures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("requested_procedure_id", sa.Text(), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("derived", sa.Text(), nullable=False, comment="Keywords whose value is ours, not the sender's"),
        sa.Column("event_at", sa.BigInteger(), nullable=False, comment="Of the newest message applied"),
        sa.ForeignKeyConstraint(["order"], ["orders.id"], name=op.f("fk_procedures_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_procedures")),
        sa.UniqueConstraint("study_uid", name=op.f("uq_procedures_study_uid")),
    )
    op.create_index(op.f("ix_procedures_order"), "procedures", ["order"], unique=False)
    op.create_table(
        "steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("procedure", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column(
            "station_ae", sa.Text(), nullable=False, comment="Titles joined by a backslash; empty: every station"
        ),
        sa.Column("start_date", sa.Text(), nullable=False),
        sa.Column("start_time", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("derived", sa.Text(), nullable=False, comment="Keywords whose value is ours, not the sender's"),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["procedure"], ["procedures.id"], name=op.f("fk_steps_procedure")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
        sa.UniqueConstraint("procedure", "step_id", name=op.f("uq_steps_procedure_step_id")),
    )
    op.create_index(op.f("ix_steps_start_date_modality"), "steps", ["start_date", "modality"], unique=False)
