"""Users with their sessions and links, and API tokens"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", Name, nullable=False, comment="In lower case"),
        sa.Column("role", sa.Text, nullable=False, comment="viewer, operator or admin"),
        sa.Column(
            "login", sa.Text, nullable=False, comment="password, or oidc: the identity provider says name and role"
        ),
        sa.Column("subject", sa.Text, nullable=True, comment="issuer|sub of the identity provider"),
        sa.Column(
            "password_hash", sa.Text, nullable=False, comment="Argon2id in its PHC form; empty: none has been set"
        ),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=True, comment="Last login"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sa.UniqueConstraint("subject", name="uq_users_subject"),
    )  # fmt: skip
    _sessions()
    op.create_table(
        "password_links",
        sa.Column("id", Key, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of what the link holds"),
        sa.Column("user_id", Key, nullable=False, comment="A new link ends the old one"),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_password_links"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_password_links_user_id"),
        sa.UniqueConstraint("digest", name="uq_password_links_digest"),
        sa.UniqueConstraint("user_id", name="uq_password_links_user_id"),
    )
    _api_tokens()


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", Key, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of what the browser has"),
        sa.Column("user_id", Key, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("id_token", sa.Text, nullable=False, comment="Of the identity provider, for its logout"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id"),
        sa.UniqueConstraint("digest", name="uq_sessions_digest"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_begun_at", "sessions", ["begun_at"])


def _api_tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", Name, nullable=False, comment="Of the client that has it"),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the token"),
        sa.Column("role", sa.Text, nullable=False, comment="Empty: it is a scanner's"),
        sa.Column("ae_title", sa.Text, nullable=False, comment="Of the scanner; empty: it is none"),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=True),
        sa.Column("revoked_at", sa.BigInteger, nullable=True),
        sa.Column("last_used_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("name", name="uq_api_tokens_name"),
        sa.UniqueConstraint("digest", name="uq_api_tokens_digest"),
    )
