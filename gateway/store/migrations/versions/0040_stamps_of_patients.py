"""When each attribute of a patient was stated: `stamps` in place of `said`, as the code names them"""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

COMMENTS = {
    ("patients", "attributes"): "Of the patient, and of the present visit as ADT states it",
    ("patients", "merged_into"): "The patient that this identity leads to now",
    ("patients", "own"): "Of who absorbed others: {attributes, stamps} without theirs",
    ("studies", "withdrawn_at"): "When a person marked it as entered in error",
}


def upgrade() -> None:
    op.execute("ALTER TABLE patients RENAME COLUMN said TO stamps")
    # Within a text of JSON a quotation mark is escaped: this can only be the key.
    op.execute("""UPDATE patients SET own = replace(own, '"said":', '"stamps":') WHERE own IS NOT NULL""")
    if op.get_bind().dialect.name == "postgresql":
        # SQLite keeps no comments.
        for (table, column), comment in COMMENTS.items():
            op.alter_column(table, column, comment=comment)
