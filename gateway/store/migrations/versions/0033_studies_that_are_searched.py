"""Studies that are searched: by date, name of the patient and modality"""

import re
import unicodedata
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PAGE = 5_000
PADDING = " \0"


def upgrade() -> None:
    empty = sa.text("''")
    op.add_column(
        "studies", sa.Column("study_date", NAME, nullable=False, server_default=empty, comment="DA; empty: none")
    )
    op.add_column(
        "studies",
        sa.Column("name_key", NAME, nullable=False, server_default=empty, comment="What a name key is compared with"),
    )
    op.add_column(
        "series", sa.Column("modality", NAME, nullable=False, server_default=empty, comment="In upper case")
    )  # fmt: skip
    _fill(op.get_bind(), "studies", _of_study)
    _fill(op.get_bind(), "series", _of_series)
    op.create_index("ix_studies_study_date_id", "studies", ["study_date", "id"])
    op.create_index("ix_studies_name_key", "studies", ["name_key"])
    op.create_index("ix_series_modality_study", "series", ["modality", "study"])


def _fill(connection: sa.Connection, name: str, keys_of: Any) -> None:
    columns = list(keys_of({}))
    table = sa.table(name, sa.column("id"), sa.column("attributes", sa.Text()), *map(sa.column, columns))
    change = (
        sa.update(table)
        .where(table.c.id == sa.bindparam("row"))
        .values({column: sa.bindparam(f"the_{column}") for column in columns})
    )
    wanted = sa.select(table.c.id, table.c.attributes).order_by(table.c.id).limit(PAGE)
    after = 0
    while rows := connection.execute(wanted.where(table.c.id > after)).all():
        keys = ((row, keys_of(orjson.loads(text))) for row, text in rows)
        connection.execute(
            change, [{"row": row, **{f"the_{column}": key for column, key in one.items()}} for row, one in keys]
        )
        after = rows[-1][0]


# As the program had them when this migration was written: what the program does today must not change history.


def _of_study(attributes: dict[str, Any]) -> dict[str, str]:
    date = _text(attributes, "StudyDate")
    return {
        "study_date": date if re.fullmatch(r"[0-9]{8}", date) else "",
        "name_key": _name_key(_text(attributes, "PatientName"))[:200],
    }


def _of_series(attributes: dict[str, Any]) -> dict[str, str]:
    return {"modality": _text(attributes, "Modality").upper()[:16]}


def _text(attributes: dict[str, Any], keyword: str) -> str:
    value = attributes.get(keyword, "")
    return str(value[0] if isinstance(value, list) and value else value or "")


def _name_key(name: str) -> str:
    first, *others = [
        "^".join(part.strip(PADDING) for part in _plain(one).split("^")).rstrip("^") for one in name.split("=")
    ]
    return "" if any(group[:1].isascii() for group in others if group) else first


def _plain(name: str) -> str:
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not "\u0300" <= sign <= "\u036f")
    return unicodedata.normalize("NFC", bare.casefold())
