"""Messages that were not applied by their state, open steps; SQLite: tables that are kept in their primary key"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_OPEN = sa.text("state <> 'CANCELED' AND state <> 'COMPLETED' AND state <> 'DISCONTINUED'")
_NOT_APPLIED = sa.text("state <> 'applied'")


def upgrade() -> None:
    op.create_index(
        "ix_messages_not_applied", "messages", ["state", "id"],
        sqlite_where=_NOT_APPLIED, postgresql_where=_NOT_APPLIED,
    )  # fmt: skip
    op.drop_index("ix_messages_state_id", table_name="messages")
    op.drop_index("ix_steps_open", table_name="steps")
    op.create_index(
        "ix_steps_open", "steps", ["start_date", "start_time", "id"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    if op.get_bind().dialect.name == "sqlite":
        _keep_in_key("order_messages", _tie("order_messages", "order"), ["order", "message"], ["message"])
        _keep_in_key("patient_messages", _tie("patient_messages", "patient"), ["patient", "message"], ["message"])
        _keep_in_key("query_matches", _matches(), ["query", "step"], ["step"])
        _keep_in_key("message_numbers", _numbers(), ["message", "kind", "value"], ["value", "kind"])


def _tie(table: str, subject: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(
            subject, sa.Integer, sa.ForeignKey(f"{subject}s.id", name=f"fk_{table}_{subject}"), nullable=False
        ),
        sa.Column("message", sa.Integer, sa.ForeignKey("messages.id", name=f"fk_{table}_message"), nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
    ]  # fmt: skip


def _matches() -> list[sa.Column[Any]]:
    of_query = sa.ForeignKey("queries.id", ondelete="CASCADE", name="fk_query_matches_query")
    return [sa.Column("query", sa.Integer, of_query, nullable=False), sa.Column("step", sa.Integer, nullable=False)]


def _numbers() -> list[sa.Column[Any]]:
    of_message = sa.ForeignKey("messages.id", ondelete="CASCADE", name="fk_message_numbers_message")
    return [
        sa.Column("message", sa.Integer, of_message, nullable=False),
        sa.Column("kind", sa.Text, nullable=False, comment="number, name or given"),
        sa.Column("value", sa.Text, nullable=False),
    ]


def _keep_in_key(name: str, columns: list[sa.Column[Any]], key: list[str], index: list[str]) -> None:
    """Make the table anew without ids of rows, each row in the tree of its primary key."""
    whole = sa.PrimaryKeyConstraint(*key, name=f"pk_{name}")
    op.create_table(f"{name}_in_key", *columns, whole, sqlite_with_rowid=False)
    quoted = ", ".join(f'"{column.name}"' for column in columns)
    order = ", ".join(f'"{column}"' for column in key)
    op.execute(f"INSERT INTO {name}_in_key ({quoted}) SELECT {quoted} FROM {name} ORDER BY {order}")
    op.drop_table(name)
    op.rename_table(f"{name}_in_key", name)
    op.create_index(f"ix_{name}_{'_'.join(index)}", name, index)
