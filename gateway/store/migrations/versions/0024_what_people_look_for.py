"""Patients by given name, rejected messages by their numbers, every failed try, why a study was withdrawn"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
PAGE = 500
LONGEST = 256
FIELDS = {
    "MSH": (10,), "PID": (2, 3, 4, 18), "MRG": (1, 2, 4), "ORC": (2, 3, 4, 8), "OBR": (2, 3, 18, 19, 20),
    "IPC": (1, 2, 3, 4), "ZDS": (1,), "SCH": (1, 2, 26, 27),
}  # fmt: skip
"""The rule of the day on which this migration was written, without escapes and character sets."""


def upgrade() -> None:
    empty = sa.text("''")
    op.add_column(
        "patients",
        sa.Column(
            "given_key", NAME, nullable=False, server_default=empty, comment="`name_key` from the given name on"
        ),
    )  # fmt: skip
    op.create_index("ix_patients_given_key", "patients", ["given_key"])
    op.add_column(
        "studies", sa.Column("withdrawn_by", sa.Text, nullable=False, server_default=empty, comment="Who did")
    )
    op.add_column(
        "studies",
        sa.Column(
            "withdrawn_reason", sa.Text, nullable=False, server_default=empty, comment="Why, in the person's words"
        ),
    )  # fmt: skip
    there = sa.text("withdrawn_at IS NOT NULL")
    op.create_index("ix_studies_withdrawn", "studies", ["id"], sqlite_where=there, postgresql_where=there)
    numbers = op.create_table(
        "message_numbers",
        sa.Column(
            "message", KEY, sa.ForeignKey("messages.id", ondelete="CASCADE", name="fk_message_numbers_message"),
            nullable=False, autoincrement=False,
        ),
        sa.Column("kind", sa.Text, nullable=False, comment="number, name or given"),
        sa.Column("value", NAME, nullable=False),
        sa.PrimaryKeyConstraint("message", "kind", "value", name="pk_message_numbers"),
    )  # fmt: skip
    op.create_index("ix_message_numbers_value_kind", "message_numbers", ["value", "kind"])
    op.create_table(
        "work_tries",
        sa.Column("id", KEY, nullable=False),
        sa.Column(
            "work", KEY, sa.ForeignKey("outbox.id", ondelete="CASCADE", name="fk_work_tries_work"), nullable=False
        ),
        sa.Column("attempt", sa.Integer, nullable=False, comment="Which try of the work, from 1"),
        sa.Column("failed_at", sa.BigInteger, nullable=False),
        sa.Column("fate", sa.Text, nullable=False, comment="retry, park or reject"),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_work_tries"),
    )  # fmt: skip
    op.create_index("ix_work_tries_work_id", "work_tries", ["work", "id"])
    fill_given_names(op.get_bind())
    fill_numbers(op.get_bind(), numbers)


def fill_given_names(connection: sa.Connection) -> None:
    place = "strpos" if connection.dialect.name == "postgresql" else "instr"
    rest = f"substr(name_key, {place}(name_key, '^') + 1)"
    connection.execute(sa.text(f"UPDATE patients SET given_key = {rest} WHERE {place}(name_key, '^') > 0"))


def fill_numbers(connection: sa.Connection, numbers: sa.Table) -> None:
    messages = sa.table("messages", sa.column("id"), sa.column("state"), sa.column("body"))
    wanted = (
        sa.select(messages.c.id, messages.c.body)
        .where(messages.c.state.in_(("failed", "rejected")), messages.c.id > sa.bindparam("after"))
        .order_by(messages.c.id)
        .limit(PAGE)
    )
    after = 0
    while page := connection.execute(wanted, {"after": after}).all():
        after = page[-1].id
        rows = [
            {"message": row.id, "kind": "number", "value": value}
            for row in page
            for value in sorted(set(numbers_of(bytes(row.body))))
        ]
        if rows:
            connection.execute(numbers.insert(), rows)


def numbers_of(body: bytes) -> Iterator[str]:
    segments = body.decode("latin-1").replace("\n", "\r").split("\r")
    for segment in segments:
        separator = segments[0][3:4] or "|"
        fields = segment.split(separator)
        for place in FIELDS.get(fields[0], ()):
            at = place - (fields[0] == "MSH")
            for repetition in (fields[at] if at < len(fields) else "").split("~"):
                value = repetition.partition("^")[0].strip()
                if value.isascii() and value.isprintable() and 0 < len(value) <= LONGEST and value != '""':
                    yield value
