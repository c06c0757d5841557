"""The cause of failed work and messages of a type that is not served, as columns"""

import hashlib
import json
import re

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PARTICULARS = (
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "UUID"),
    (re.compile(r"\b[0-2](?:\.\d+){3,}\b"), "UID"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "ID"),
    (re.compile(r"\[\d+\]"), "[n]"),
    (re.compile(r"(?<!HTTP )\b\d+\b"), "N"),
    (re.compile(r"'[^']*'"), "'…'"),
)
"""The rule of the day on which this migration was written."""

outbox = sa.table(
    "outbox",
    *(sa.column(name) for name in ("id", "kind", "state", "cause", "cause_text")),
    sa.column("outcome", sa.Text),
)
messages = sa.table("messages", sa.column("state"), sa.column("unserved"), sa.column("findings", sa.Text))


def upgrade() -> None:
    for name, comment in (
        ("cause", "Key of the cause of the last failure"),
        ("cause_text", "The cause in words"),
    ):
        op.add_column("outbox", sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"), comment=comment))
    op.add_column(
        "messages",
        sa.Column(
            "unserved", sa.Boolean, nullable=False, server_default=sa.false(), comment="Refused for its type alone"
        ),
    )
    connection = op.get_bind()
    fill_causes(connection)
    connection.execute(
        messages.update()
        .where(
            messages.c.state.in_(("failed", "rejected")),
            sa.cast(messages.c.findings, sa.Text).like('%"place":%"MSH-9.%'),
        )
        .values(unserved=sa.true())
    )


def fill_causes(connection: sa.Connection) -> None:
    wanted = sa.select(outbox.c.id, outbox.c.kind, sa.cast(outbox.c.outcome, sa.Text)).where(
        outbox.c.state.in_(("parked", "rejected"))
    )
    causes = [
        {"the_id": id, "key": key, "words": text}
        for id, kind, outcome in connection.execute(wanted)
        for key, text in [cause_of(kind, json.loads(outcome or "{}") or {})]
    ]
    if causes:
        connection.execute(
            outbox.update()
            .where(outbox.c.id == sa.bindparam("the_id"))
            .values(cause=sa.bindparam("key"), cause_text=sa.bindparam("words")),
            causes,
        )


def cause_of(kind: str, outcome: dict[str, object]) -> tuple[str, str]:
    text = str(outcome.get("error") or "unknown")
    for particular, sign in PARTICULARS:
        text = particular.sub(sign, text)
    issues = outcome.get("issues")
    codes = {str(issue.get("code")) for issue in (issues if isinstance(issues, list) else ()) if issue.get("code")}
    return hashlib.sha256("\x1f".join([kind, text, *sorted(codes)]).encode()).hexdigest()[:8], text
