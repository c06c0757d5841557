"""The cause of a message that was not applied, and who put a message or a refusal away"""

import hashlib
import json
import re

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

PAGE = 1000
PARTICULARS = (
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "UUID"),
    (re.compile(r"\b[0-2](?:\.\d+){3,}\b"), "UID"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "ID"),
    (re.compile(r"\[\d+\]"), "[n]"),
    (re.compile(r"(?<![A-Z0-9]{3}-)(?<!\.)\b\d+\b"), "N"),
    (re.compile(r"'[^']*'"), "'…'"),
)
"""The rule of the day on which this migration was written."""
NOTES = re.compile("worked on again at |another message came under this control id")
"""Begins what the findings say beside the fault."""

messages = sa.table(
    "messages", *(sa.column(name) for name in ("id", "state", "unserved", "cause")), sa.column("findings", sa.Text)
)


def upgrade() -> None:
    op.add_column(
        "messages",
        sa.Column(
            "cause", sa.Text, nullable=False, server_default=sa.text("''"),
            comment="Key of why it was not applied; empty: it was, or its type is not served",
        ),
    )  # fmt: skip
    for table in ("messages", "refusals"):
        op.add_column(table, sa.Column("put_away_at", sa.BigInteger, nullable=True, comment="It calls for nobody"))
        for name, comment in (("put_away_by", "Who did"), ("put_away_note", "Why")):
            empty = sa.text("''")
            op.add_column(table, sa.Column(name, sa.Text, nullable=False, server_default=empty, comment=comment))
    fill_causes(op.get_bind())
    for name, columns, condition in (
        ("ix_messages_cause", ["cause", "id"], "cause <> ''"),
        ("ix_messages_open", ["id", "cause"], "cause <> '' AND put_away_at IS NULL"),
        ("ix_messages_put_away", ["id"], "put_away_at IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "messages", columns, sqlite_where=where, postgresql_where=where)


def fill_causes(connection: sa.Connection) -> None:
    wanted = (
        sa.select(messages.c.id, messages.c.findings)
        .where(
            messages.c.state.in_(("failed", "rejected")),
            sa.not_(messages.c.unserved),
            messages.c.id > sa.bindparam("after"),
        )
        .order_by(messages.c.id)
        .limit(PAGE)
    )
    filling = (
        messages.update().where(messages.c.id == sa.bindparam("the_id")).values(cause=sa.bindparam("key"))
    )  # fmt: skip
    after = 0
    while rows := connection.execute(wanted, {"after": after}).all():
        connection.execute(filling, [{"the_id": id, "key": cause_of(json.loads(findings))} for id, findings in rows])
        after = rows[-1][0]


def cause_of(findings: list[dict[str, str]]) -> str:
    first = next((one for one in findings if not NOTES.match(one["text"])), {"place": "", "text": "unknown"})
    text = first["text"]
    for particular, sign in PARTICULARS:
        text = particular.sub(sign, text)
    place = re.sub(r"\[\d+\]", "[n]", first["place"])
    return hashlib.sha256(f"{place}\x1f{text}".encode(errors="replace")).hexdigest()[:8]
