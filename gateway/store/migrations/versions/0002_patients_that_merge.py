"""Patients that merge: whose word each attribute is, former identities, orders that are parts of another"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "patients",
        sa.Column(
            "said", sa.Text(), nullable=False, server_default="{}", comment="Keyword -> [rank, time] of the statement"
        ),
    )
    op.add_column(
        "patients",
        sa.Column(
            "former",
            sa.Text(),
            nullable=False,
            server_default="[]",
            comment="[[patient_id, issuer]] merged into this one",
        ),
    )
    op.add_column(
        "patients", sa.Column("merged_into", KEY, nullable=True, comment="The patient that this identity now means")
    )
    op.add_column(
        "patients",
        sa.Column(
            "arrivals",
            sa.Text(),
            nullable=False,
            server_default="[]",
            comment="[[microseconds, DA]] of the last arrivals",
        ),
    )
    op.add_column(
        "orders",
        sa.Column(
            "parent",
            sa.Text(),
            nullable=False,
            server_default=sa.text("''"),
            comment="Placer number of the whole order",
        ),
    )
    op.add_column(
        "orders",
        sa.Column(
            "moved_at",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="Of the newest cancel, hold, ...",
        ),
    )
    # Which kind of message was the newest is not known of what is there: taken for the one that is put in its place.
    op.execute("UPDATE orders SET moved_at = event_at")
    op.create_index(
        "ix_orders_parent",
        "orders",
        ["parent"],
        unique=False,
        sqlite_where=sa.text("parent <> ''"),
        postgresql_where=sa.text("parent <> ''"),
    )
    op.create_table(
        "patient_messages",
        sa.Column("patient", KEY, nullable=False),
        sa.Column("message", KEY, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["messages.id"], name=op.f("fk_patient_messages_message")),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_patient_messages_patient")),
        sa.PrimaryKeyConstraint("patient", "message", name=op.f("pk_patient_messages")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(
            "messages",
            "state",
            existing_type=sa.Text(),
            existing_nullable=False,
            comment="applied, stale, stored, rejected or failed",
            existing_comment="applied, stale, rejected or failed",
        )
        op.alter_column(
            "patients",
            "attributes",
            existing_type=sa.Text(),
            existing_nullable=False,
            comment="Of the patient, and of the present visit as ADT told it",
        )
    # What is known so far was said by orders, at the time of the newest of them.
    op.execute("UPDATE patients SET said = '{\"\":[1,' || updated_at || ']}'")
