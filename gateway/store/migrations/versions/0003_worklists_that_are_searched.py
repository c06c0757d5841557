"""Worklists that are searched: patients by name, open steps by their start"""

import unicodedata

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH = 10_000
PADDING = " \0"
IS_OPEN = sa.text("steps.state NOT IN ('CANCELED', 'COMPLETED', 'DISCONTINUED')")


def upgrade() -> None:
    collation = "C" if op.get_bind().dialect.name == "postgresql" else None
    op.add_column(
        "patients",
        sa.Column(
            "name_key",
            sa.Text(collation=collation),
            nullable=False,
            server_default=sa.text("''"),
            comment="What a name key is compared with",
        ),
    )
    _fill(op.get_bind())
    op.create_index("ix_patients_name_key", "patients", ["name_key"])
    op.create_index(
        "ix_steps_open",
        "steps",
        ["start_date", "start_time", "id"],
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    )


def _fill(connection: sa.Connection) -> None:
    patients = sa.table("patients", sa.column("id"), sa.column("attributes", sa.Text()), sa.column("name_key"))
    change = sa.update(patients).where(patients.c.id == sa.bindparam("row")).values(name_key=sa.bindparam("key"))
    after = 0
    while rows := connection.execute(
        sa.select(patients.c.id, patients.c.attributes)
        .where(patients.c.id > after)
        .order_by(patients.c.id)
        .limit(BATCH)
    ).all():
        keys = ({"row": row, "key": _name_key(str(orjson.loads(text).get("PatientName") or ""))} for row, text in rows)
        connection.execute(change, list(keys))
        after = rows[-1][0]


# As the program had them when this migration was written: what the program does today must not change history.


def _name_key(name: str) -> str:
    first, *others = _component_groups(name)
    return "" if any(group[:1].isascii() for group in others if group) else first


def _component_groups(name: str) -> list[str]:
    """Component groups Alphabetic=Ideographic=Phonetic without trailing empty components (PS3.5 6.2.1)."""
    return ["^".join(part.strip(PADDING) for part in _plain(one).split("^")).rstrip("^") for one in name.split("=")]


def _plain(name: str) -> str:
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not "\u0300" <= sign <= "\u036f")
    return unicodedata.normalize("NFC", bare.casefold())
