# Long: every table of the database, in one place.
"""The tables, in the order of the journey.

Times are integers: microseconds since 1970 UTC, from the application's wall clock; those of what waits from its steady
clock (`gateway.clock`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    literal_column,
    text,
)


class Json(TypeDecorator[Any]):
    """A JSON document kept as text, alike in both databases."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        return _written

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:
        return _read


def _written(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _read(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


Key = BigInteger().with_variant(Integer, "sqlite")
"""SQLite gives row ids to INTEGER primary keys only."""
Name = Text().with_variant(Text(collation="C"), "postgresql")
"""Ordered by its bytes, as SQLite orders every text."""
ENDED = ("CANCELED", "COMPLETED", "DISCONTINUED")
STEP_IS_OPEN = " AND ".join(f"steps.state <> '{state}'" for state in ENDED)
"""A partial index is used for a query that repeats its words. For a list of more than two values SQLite would make a
table each time that it adds or changes a step."""
MESSAGE_NOT_APPLIED = "state <> 'applied'"
"""Of few messages: those that were applied are nearly all, and are found in the order of their ids."""
MESSAGE_IS_OPEN = "cause <> '' AND put_away_at IS NULL"
"""Of a message that was not applied and still calls for a person."""


def word(value: str) -> ColumnElement[str]:
    """`value`, which holds no quote, in the condition of a query by a partial index: no database compares the condition
    of an index with a bound value, and for the empty text SQLite plans the query anew each time it is run."""
    return literal_column(f"'{value}'", Text)


EMPTY: Final = word("")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

messages = Table(
    "messages",
    metadata,
    Column("id", Key, primary_key=True),
    Column("received_at", BigInteger, nullable=False),
    Column("listener", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("sender", Text, nullable=False, comment="MSH-3|MSH-4"),
    Column("control_id", Text, nullable=False, comment="MSH-10"),
    Column("type", Text, nullable=False, comment="MSH-9 as TYPE^TRIGGER"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the bytes that arrived"),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, comment="applied, stale, stored, rejected or failed"),
    Column("ack_code", Text, nullable=False),
    Column("ack", LargeBinary, nullable=False),
    Column("findings", Json, nullable=False, comment="What was wrong or remarkable: [{place, text}]"),
    Column("unserved", Boolean, nullable=False, server_default=false(), comment="Refused for its type alone"),
    Column(
        "cause", Text, nullable=False, server_default=text("''"),
        comment="Key of why it was not applied; empty: it was, or its type is not served",
    ),
    Column("put_away_at", BigInteger, nullable=True, comment="It calls for nobody"),
    Column("put_away_by", Text, nullable=False, server_default=text("''"), comment="Who did"),
    Column("put_away_note", Text, nullable=False, server_default=text("''"), comment="Why"),
    Index(None, "sender", "control_id", "digest"),
    Index(
        "ix_messages_not_applied", "state", "id",
        sqlite_where=text(MESSAGE_NOT_APPLIED), postgresql_where=text(MESSAGE_NOT_APPLIED),
    ),
    Index("ix_messages_cause", "cause", "id", sqlite_where=text("cause <> ''"), postgresql_where=text("cause <> ''")),
    Index("ix_messages_unserved", "id", "type", sqlite_where=text("unserved = 1"), postgresql_where=text("unserved")),
    Index(
        "ix_messages_put_away", "id",
        sqlite_where=text("put_away_at IS NOT NULL"), postgresql_where=text("put_away_at IS NOT NULL"),
    ),
    Index(
        "ix_messages_open", "id", "cause",
        sqlite_where=text(MESSAGE_IS_OPEN), postgresql_where=text(MESSAGE_IS_OPEN),
    ),
)  # fmt: skip

message_numbers = Table(
    "message_numbers",
    metadata,
    Column("message", Key, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True, comment="number, name or given"),
    Column("value", Name, primary_key=True),
    Index(None, "value", "kind"),
    sqlite_with_rowid=False,
)
"""What a message that was not applied is found by: nothing else in the tables has its numbers."""

patients = Table(
    "patients",
    metadata,
    Column("id", Key, primary_key=True),
    Column("patient_id", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("attributes", Json, nullable=False, comment="Of the patient, and of the present visit as ADT states it"),
    Column("stamps", Json, nullable=False, server_default="{}", comment="Keyword -> [rank, time] of the statement"),
    Column("former", Json, nullable=False, server_default="[]", comment="[[patient_id, issuer]] merged into this one"),
    Column("name_key", Name, nullable=False, server_default=text("''"), comment="What a name key is compared with"),
    Column("given_key", Name, nullable=False, server_default=text("''"), comment="`name_key` from the given name on"),
    Column("merged_into", Key, nullable=True, comment="The patient that this identity leads to now"),
    Column("merged_at", BigInteger, nullable=False, server_default=text("0"), comment="EVN-2 of the A40 or A47"),
    Column("first_at", BigInteger, nullable=False, server_default=text("0"), comment="Of the oldest statement"),
    Column("own", Json, nullable=True, comment="Of who absorbed others: {attributes, stamps} without theirs"),
    Column("arrivals", Json, nullable=False, server_default="[]", comment="[[microseconds, DA]] of the last arrivals"),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("patient_id", "issuer"),
    Index(None, "name_key"),
    Index(None, "given_key"),
    Index(
        "ix_patients_merged_into",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Key, primary_key=True),
    Column("patient", Key, ForeignKey("patients.id"), nullable=True, comment="None while only a cancel is known"),
    Column("authority", Text, nullable=False, comment="Issuer of the accession number"),
    Column("accession", Text, nullable=False),
    Column("sender", Text, nullable=False, default="", comment="Whose numbers those without authority are"),
    Column("placer", Text, nullable=False, comment="Placer order number, or empty"),
    Column("placer_authority", Text, nullable=False, default="", comment="Empty: the message did not say"),
    Column("filler", Text, nullable=False, comment="Filler order number, or empty"),
    Column("filler_authority", Text, nullable=False, default="", comment="Empty: the message did not say"),
    Column("parent", Text, nullable=False, server_default=text("''"), comment="Placer number of the whole order"),
    Column(
        "parent_filler", Text, nullable=False, server_default=text("''"), comment="Its filler number, without placer"
    ),
    Column("study_uid", Text, nullable=False, server_default=text("''"), comment="Stated, but of no procedure yet"),
    Column("attributes", Json, nullable=False),
    Column("event_at", BigInteger, nullable=False, comment="Of the newest message applied to any of its procedures"),
    Column("moved_at", BigInteger, nullable=False, server_default=text("0"), comment="Of the newest cancel, hold, ..."),
    Column("performed_at", BigInteger, nullable=False, server_default=text("0"), comment="Of the newest MPPS event"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "accession"),
    Index(None, "placer"),
    Index(None, "filler"),
    Index(None, "patient"),
    Index("ix_orders_parent", "parent", sqlite_where=text("parent <> ''"), postgresql_where=text("parent <> ''")),
    Index(
        "ix_orders_parent_filler",
        "parent_filler",
        sqlite_where=text("parent_filler <> ''"),
        postgresql_where=text("parent_filler <> ''"),
    ),
    Index(
        "ix_orders_study_uid",
        "study_uid",
        sqlite_where=text("study_uid <> ''"),
        postgresql_where=text("study_uid <> ''"),
    ),
)

procedures = Table(
    "procedures",
    metadata,
    Column("id", Key, primary_key=True),
    Column("order", Key, ForeignKey("orders.id"), nullable=False),
    Column("requested_procedure_id", Text, nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("derived", Json, nullable=False, default=[], comment="Keywords whose value is ours, not the sender's"),
    Column("event_at", BigInteger, nullable=False, default=0, comment="Of the newest message applied"),
    UniqueConstraint("study_uid"),
    Index(None, "order"),
)

steps = Table(
    "steps",
    metadata,
    Column("id", Key, primary_key=True),
    Column("procedure", Key, ForeignKey("procedures.id"), nullable=False),
    Column("step_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("station_ae", Text, nullable=False, comment="Titles joined by a backslash; empty: every station"),
    Column("start_date", Text, nullable=False),
    Column("start_time", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("derived", Json, nullable=False, default=[], comment="Keywords whose value is ours, not the sender's"),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("procedure", "step_id"),
    Index(None, "start_date", "modality"),
    Index(
        "ix_steps_open",
        "start_date",
        "start_time",
        "id",
        sqlite_where=text(STEP_IS_OPEN),
        postgresql_where=text(STEP_IS_OPEN),
    ),
)

order_messages = Table(
    "order_messages",
    metadata,
    Column("order", Key, ForeignKey("orders.id"), primary_key=True),
    Column("message", Key, ForeignKey("messages.id"), primary_key=True),
    Column("outcome", Text, nullable=False),
    Index(None, "message"),
    sqlite_with_rowid=False,
)

patient_messages = Table(
    "patient_messages",
    metadata,
    Column("patient", Key, ForeignKey("patients.id"), primary_key=True),
    Column("message", Key, ForeignKey("messages.id"), primary_key=True),
    Column("outcome", Text, nullable=False),
    Index(None, "message"),
    sqlite_with_rowid=False,
)

queries = Table(
    "queries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("asked_at", BigInteger, nullable=False),
    Column("calling_ae", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("keys", Json, nullable=False),
    Column("status", Integer, nullable=False),
    Column("matches", Integer, nullable=False),
    Column("micros", BigInteger, nullable=False),
)

query_matches = Table(
    "query_matches",
    metadata,
    Column("query", Key, ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True),
    Column("step", Key, primary_key=True),
    Index(None, "step"),
    sqlite_with_rowid=False,
)

performed_steps = Table(
    "performed_steps",
    metadata,
    Column("id", Key, primary_key=True),
    Column("sop_uid", Text, nullable=False),
    Column("state", Text, nullable=False, comment="Performed Procedure Step Status"),
    Column("calling_ae", Text, nullable=False),
    Column("accession", Text, nullable=False, comment="As the modality states it; empty: it does not"),
    Column("patient_id", Text, nullable=False, server_default=text("''"), comment="As the modality states it"),
    Column("attributes", Json, nullable=False),
    Column("findings", Json, nullable=False, comment="Deviations from standard and order: [{place, text}]"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the attributes of the N-CREATE"),
    Column("begun_at", BigInteger, nullable=False, comment="When it began, for the order's history"),
    Column("ended_at", BigInteger, nullable=True, comment="When it ended, for the order's history"),
    Column("end_event", Text, nullable=False, comment="What its end is to the scheduled steps; empty: in progress"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("silent_at", BigInteger, nullable=True, comment="Since when it is known to give no sign of life"),
    UniqueConstraint("sop_uid"),
    Index(None, "accession"),
    Index(
        "ix_performed_steps_patient_id",
        "patient_id",
        sqlite_where=text("patient_id <> ''"),
        postgresql_where=text("patient_id <> ''"),
    ),
    Index(
        "ix_performed_steps_open",
        "updated_at",
        sqlite_where=text("state = 'IN PROGRESS'"),
        postgresql_where=text("state = 'IN PROGRESS'"),
    ),
)

performed_step_links = Table(
    "performed_step_links",
    metadata,
    Column("id", Key, primary_key=True),
    Column("performed_step", Key, ForeignKey("performed_steps.id"), nullable=False),
    Column("order", Key, ForeignKey("orders.id"), nullable=False),
    Column("study_uid", Text, nullable=False, comment="Of the scheduled step's procedure"),
    Column("step_id", Text, nullable=False),
    Column("match", Text, nullable=False, comment="What led to the scheduled step"),
    UniqueConstraint("performed_step", "order", "study_uid", "step_id"),
    Index(None, "order"),
)

unlinked_items = Table(
    "unlinked_items",
    metadata,
    Column("id", Key, primary_key=True),
    Column("performed_step", Key, ForeignKey("performed_steps.id"), nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("step_id", Text, nullable=False),
    Column("accession", Text, nullable=False),
    Column("procedure_id", Text, nullable=False),
    Column("by_person", Boolean, nullable=False, comment="A person took the link away; no rule links it again"),
    Index(None, "performed_step"),
    Index(None, "study_uid"),
    Index(None, "accession"),
)
"""Items of Scheduled Step Attributes Sequences that led to no scheduled step."""

link_changes = Table(
    "link_changes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("performed_step", Key, ForeignKey("performed_steps.id"), nullable=False),
    Column("order", Key, ForeignKey("orders.id"), nullable=False),
    Column("study_uid", Text, nullable=False, comment="Of the scheduled step's procedure"),
    Column("step_id", Text, nullable=False),
    Column("action", Text, nullable=False, comment="link or unlink"),
    Column("person", Text, nullable=False, comment="Who did it"),
    Column("reason", Text, nullable=False, comment="Why, in the person's words; may be empty"),
    Column("changed_at", BigInteger, nullable=False),
    Index(None, "performed_step"),
    Index(None, "order"),
)
"""What persons did to links of performed steps."""

availability_notifications = Table(
    "availability_notifications",
    metadata,
    Column("id", Key, primary_key=True),
    Column("sop_uid", Text, nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("calling_ae", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("findings", Json, nullable=False, comment="Deviations from the standard: [{place, text}]"),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("sop_uid"),
    Index(None, "study_uid"),
)

studies = Table(
    "studies",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("accession", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("patient_issuer", Text, nullable=False),
    Column("source_ae", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("study_date", Name, nullable=False, server_default=text("''"), comment="DA; empty: none"),
    Column("name_key", Name, nullable=False, server_default=text("''"), comment="What a name key is compared with"),
    Column("sources", Json, nullable=False, server_default="{}", comment="Keyword -> SOP Instance UID it comes from"),
    Column("revision", Integer, nullable=False),
    Column("settled_revision", Integer, nullable=False),
    Column(
        "grown_revision", Integer, nullable=False, server_default=text("0"),
        comment="The newest that an instance made",
    ),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger, nullable=True),
    Column("settled_because", Json, nullable=True, comment="Why it settled last: {reason, ...}"),
    Column(
        "rejected", Integer, nullable=False, server_default=text("0"),
        comment="Instances that rejection notes leave out of its attributes",
    ),
    Column(
        "moved", Integer, nullable=False, server_default=text("0"),
        comment="Instances of other studies now that its attributes leave out",
    ),
    Column("longest_pause", BigInteger, nullable=True, comment="Between two of its instances, microseconds"),
    Column("withdrawn_at", BigInteger, nullable=True, comment="When a person marked it as entered in error"),
    Column("withdrawn_by", Text, nullable=False, server_default=text("''"), comment="Who did"),
    Column("withdrawn_reason", Text, nullable=False, server_default=text("''"), comment="Why, in the person's words"),
    Column(
        "findings",
        Json,
        nullable=False,
        server_default="[]",
        comment="What was remarkable when it settled last: [{place, text}]",
    ),
    Column(
        "order_standing",
        Text,
        nullable=False,
        server_default=text("''"),
        comment="With its orders; empty: not known",
    ),
    UniqueConstraint("study_uid"),
    Index(None, "accession"),
    Index(None, "patient_id"),
    Index(
        "ix_studies_order_standing",
        "order_standing",
        "id",
        sqlite_where=text("order_standing NOT IN ('', 'linked')"),
        postgresql_where=text("order_standing NOT IN ('', 'linked')"),
    ),
    Index(None, "study_date", "id"),
    Index(None, "name_key"),
    Index(
        "ix_studies_withdrawn",
        "id",
        sqlite_where=text("withdrawn_at IS NOT NULL"),
        postgresql_where=text("withdrawn_at IS NOT NULL"),
    ),
)  # fmt: skip

study_evidence = Table(
    "study_evidence",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False, comment="By which it is stated: a UID, or an archive's name"),
    Column("sop_uids", Json, nullable=False, comment="The instances that are named"),
    Column("series", Integer, nullable=True, comment="How many; null: not stated"),
    Column("instances", Integer, nullable=True, comment="How many; null: not stated"),
    Column("stated_at", BigInteger, nullable=False),
    UniqueConstraint("study_uid", "kind", "source"),
)
"""What is stated of how much a study holds; the study need not have come."""

series = Table(
    "series",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study", Key, ForeignKey("studies.id"), nullable=False),
    Column("series_uid", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("modality", Name, nullable=False, server_default=text("''"), comment="In upper case"),
    Column("sources", Json, nullable=False, server_default="{}", comment="Keyword -> SOP Instance UID it comes from"),
    UniqueConstraint("study", "series_uid"),
    Index(None, "series_uid"),
    Index(None, "modality", "study"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Key, primary_key=True),
    Column("series", Key, ForeignKey("series.id"), nullable=False),
    Column("sop_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("header", LargeBinary, nullable=False, comment="Encoded data set up to the pixel data, zlib"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the header"),
    Column("received_at", BigInteger, nullable=False),
    Column(
        "header_rank",
        Integer,
        nullable=False,
        server_default="3",
        comment="How much its source gave: 1 an answer to a query, 2 metadata, 3 its data set",
    ),
    UniqueConstraint("series", "sop_uid"),
    Index(None, "sop_uid"),
)

instance_findings = Table(
    "instance_findings",
    metadata,
    # A table of its own: in a row of `instances` they would stand behind the header, which is read with them.
    Column("instance", Key, ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    Column("findings", Json, nullable=False, comment="What could not be read of it: [{place, text}]"),
)

former_uids = Table(
    "former_uids",
    metadata,
    Column("id", Key, primary_key=True),
    Column("instance", Key, ForeignKey("instances.id"), nullable=False),
    Column("study_uid", Text, nullable=False, comment="Before one modification; empty: not modified then"),
    Column("series_uid", Text, nullable=False, comment="The same"),
    Column("sop_uid", Text, nullable=False, comment="The same"),
    Index(None, "instance"),
    Index(None, "study_uid"),
    Index(None, "sop_uid"),
)
"""UIDs that instances state in Original Attributes Sequence to have had before."""

moved_instances = Table(
    "moved_instances",
    metadata,
    Column("instance", Key, ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    Column("study_uid", Text, nullable=False, comment="Where it is kept"),
    Column("to_study_uid", Text, nullable=False, comment="Of which it is now"),
    Column("to_sop_uid", Text, nullable=False, comment="What it is there"),
    Column("moved_at", BigInteger, nullable=False, comment="When that was known"),
    Index(None, "study_uid"),
    Index(None, "to_study_uid"),
)
"""Instances that do not count where they are kept: an archive moved them to another study, or gave them other UIDs."""

pixel_files = Table(
    "pixel_files",
    metadata,
    Column("id", Key, primary_key=True),
    Column("instance", Key, ForeignKey("instances.id"), nullable=False),
    Column("file", Text, nullable=False, comment="Name in the folder of the spool"),
    Column("size", BigInteger, nullable=False, comment="Bytes of the file"),
    Column("sha256", LargeBinary, nullable=False, comment="Of the data set as it came, without File Meta Information"),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger, nullable=True, comment="When nobody needed the file any more"),
    Column("missing_at", BigInteger, nullable=True, comment="When the file was looked for and was not there"),
    UniqueConstraint("instance"),
    UniqueConstraint("file"),
    Index(
        "ix_pixel_files_kept",
        "id",
        "size",
        sqlite_where=text("removed_at IS NULL"),
        postgresql_where=text("removed_at IS NULL"),
    ),
    Index(
        "ix_pixel_files_missing",
        "id",
        sqlite_where=text("missing_at IS NOT NULL"),
        postgresql_where=text("missing_at IS NOT NULL"),
    ),
)
"""Instances with their pixels, as files of the spool: the newest of each instance."""

released_files = Table(
    "released_files",
    metadata,
    Column("id", Key, primary_key=True),
    Column("file", Text, nullable=False, comment="Name in the folder of the spool"),
    Column("size", BigInteger, nullable=False, comment="Bytes of the file"),
)
"""Files of the spool that no instance has any more, and that are to be deleted from the disk."""

storage_commitments = Table(
    "storage_commitments",
    metadata,
    Column("id", Key, primary_key=True),
    Column("transaction_uid", Text, nullable=False),
    Column("calling_ae", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="Of the references: tells a repetition from another request"),
    Column("received_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger, nullable=True, comment="When it was clear what is reported"),
    Column("reported_at", BigInteger, nullable=True),
    Column("work", BigInteger, nullable=False, server_default="0", comment="The newest row of the outbox that reports"),
    UniqueConstraint("transaction_uid", "calling_ae", "digest"),
    Index(None, "work"),
)
commitment_instances = Table(
    "commitment_instances",
    metadata,
    Column("id", Key, primary_key=True),
    Column("commitment", Key, ForeignKey("storage_commitments.id"), nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("sop_uid", Text, nullable=False),
    Column("failure_reason", Integer, nullable=True, comment="Failure Reason (0008,1197)"),
    Index(None, "commitment", "sop_uid"),
    Index(None, "sop_uid"),
)
asked_commitments = Table(
    "asked_commitments",
    metadata,
    Column("id", Key, primary_key=True),
    Column("transaction_uid", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger, nullable=True),
    UniqueConstraint("transaction_uid"),
    Index(None, "study_uid"),
)
archive_commitments = Table(
    "archive_commitments",
    metadata,
    Column("id", Key, primary_key=True),
    Column("work", BigInteger, nullable=False, comment="The row of the outbox that sent the instance"),
    Column("destination", Text, nullable=False),
    Column("sop_uid", Text, nullable=False),
    Column("first_asked", BigInteger, nullable=False, comment="The first transaction that names it"),
    Column("asked_at", BigInteger, nullable=True, comment="When a request was taken last, steady time"),
    Column("committed_at", BigInteger, nullable=True),
    Column("failure_reason", Integer, nullable=True, comment="Failure Reason (0008,1197)"),
    Column("failures", Integer, nullable=False, server_default="0", comment="Of this instance there, in all"),
    UniqueConstraint("work"),
    Index(None, "destination", "sop_uid"),
)
exclusions = Table(
    "exclusions",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("uid", Text, nullable=False, comment="Series or SOP Instance UID"),
    Column("level", Text, nullable=False, comment="series or instance"),
    Column("person", Text, nullable=False, comment="Who did it"),
    Column("note", Text, nullable=False, comment="Why, in the person's words; may be empty"),
    Column("excluded_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=True, comment="When it was taken back; null: it is in force"),
    Column("ended_by", Text, nullable=False, server_default=text("''"), comment="Who took it back"),
    Column("end_note", Text, nullable=False, server_default=text("''"), comment="Why it was taken back"),
    Index(None, "study_uid"),
)
"""Series and instances that do not count as parts of their study."""

study_requests = Table(
    "study_requests",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("accession", Text, nullable=False),
    UniqueConstraint("study_uid", "accession"),
    Index(None, "accession"),
)
"""Accession numbers that series of a study name in their Request Attributes Sequences, beside that of the study."""

study_links = Table(
    "study_links",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("order", Key, nullable=False),
    Column("action", Text, nullable=False, comment="link or unlink"),
    Column("person", Text, nullable=False, comment="Who did it"),
    Column("reason", Text, nullable=False, comment="Why, in the person's words; may be empty"),
    Column("changed_at", BigInteger, nullable=False),
    Index(None, "study_uid"),
    Index(None, "order"),
)
"""Orders that persons linked with studies, or took away from them: the newest row of study and order counts."""

order_conflicts = Table(
    "order_conflicts",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("order", Key, nullable=False),
    Column("check", Text, nullable=False, comment="What differs"),
    Column("policy", Text, nullable=False, comment="warn or hold"),
    Column("images", Text, nullable=False, comment="As the images have it"),
    Column("ordered", Text, nullable=False, comment="As the order has it"),
    Column("since", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=True, comment="When it was not so any more; null: it is so"),
    Column("released_at", BigInteger, nullable=True, comment="When a person released it; null: nobody did"),
    Column("released_by", Text, nullable=False, server_default=text("''")),
    Column("release_reason", Text, nullable=False, server_default=text("''"), comment="In the person's words"),
    Index(None, "study_uid"),
    Index(None, "order"),
)
"""What studies and their orders state differently, as it was when the study was looked at last."""

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("id", Key, primary_key=True),
    Column("begun_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=True, comment="Null: it is under way, or its process ended"),
    Column("holder", Text, nullable=False, comment="Of one process, made up"),
    Column("lease_until", BigInteger, nullable=False),
    Column("outcome", Json, nullable=False, comment="What was compared and how much differs; no UIDs"),
    Column("failure", Text, nullable=False, server_default=text("''"), comment="Why it did not come to its end"),
)
"""Runs of reconcile, one at a time; the last of them are kept."""

refusals = Table(
    "refusals",
    metadata,
    Column("id", Key, primary_key=True),
    Column("refused_at", BigInteger, nullable=False),
    Column("source", Text, nullable=False, comment="Who sent it: a listener and peer, or an AE title and address"),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="What arrived, up to KEPT_BYTES"),
    Column(
        "calling_ae",
        Text,
        nullable=False,
        server_default=text("''"),
        comment="Whose association or context it was; empty: nothing of DICOM",
    ),
    Column("put_away_at", BigInteger, nullable=True, comment="It calls for nobody"),
    Column("put_away_by", Text, nullable=False, server_default=text("''"), comment="Who did"),
    Column("put_away_note", Text, nullable=False, server_default=text("''"), comment="Why"),
)

unknown_codes = Table(
    "unknown_codes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("day", BigInteger, nullable=False, comment="Since 1970 UTC"),
    Column("code_table", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("message", Key, nullable=True, comment="The last with it"),
    Column("study_uid", Text, nullable=False, server_default=text("''"), comment="The last with it"),
    UniqueConstraint("day", "code_table", "code", name="uq_unknown_codes_day_code_table_code"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="Study Instance UID"),
    Column("payload", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease", Text, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("waits_since", BigInteger, nullable=False, server_default=text("0"), comment="By the steady clock"),
    Column("finished_at", BigInteger, nullable=True),
    Column("outcome", Json, nullable=True, comment="Of the last try"),
    Column(
        "cause",
        Text,
        nullable=False,
        server_default=text("''"),
        comment="Key of the cause of the last failure",
    ),
    Column("cause_text", Text, nullable=False, server_default=text("''"), comment="The cause in words"),
    Index(None, "subject"),
    Index(None, "state", "id"),
    Index(None, "kind", "state", "id"),
    Index(
        "ix_outbox_stuck",
        "cause",
        "id",
        "finished_at",
        sqlite_where=text("state IN ('parked', 'rejected')"),
        postgresql_where=text("state IN ('parked', 'rejected')"),
    ),
    Index(
        "ix_outbox_active_due",
        "kind",
        "due_at",
        "id",
        sqlite_where=text("state IN ('pending', 'leased')"),
        postgresql_where=text("state IN ('pending', 'leased')"),
    ),
    Index(
        "ix_outbox_active_lane",
        "lane",
        "id",
        sqlite_where=text("state IN ('pending', 'leased')"),
        postgresql_where=text("state IN ('pending', 'leased')"),
    ),
)

pauses = Table(
    "pauses",
    metadata,
    Column("receiver", Text, primary_key=True, comment="Name of an EHR or a destination"),
    Column("since", BigInteger, nullable=False),
    Column("person", Text, nullable=False, comment="Who did it"),
    Column("note", Text, nullable=False, comment="Why, in the person's words; may be empty"),
)
"""Receivers whose work waits because a person wants it so."""

work_tries = Table(
    "work_tries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("work", Key, ForeignKey("outbox.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False, comment="Which try of the work, from 1"),
    Column("failed_at", BigInteger, nullable=False),
    Column("fate", Text, nullable=False, comment="retry, park or reject"),
    Column("outcome", Json, nullable=False),
    Index(None, "work", "id"),
)
"""The last tries of work that failed; `outbox.outcome` is of the newest try alone."""

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("gateway", Text, primary_key=True, comment="Of one start of a gateway, made up"),
    Column("steady_at", BigInteger, nullable=False),
    Column("wall_at", BigInteger, nullable=False, comment="By the clock that all gateways share"),
    Column("padding", LargeBinary, nullable=False, comment="What a probe of a full disk writes"),
)

backups = Table(
    "backups",
    metadata,
    Column("id", Key, primary_key=True),
    Column("made_at", BigInteger, nullable=False),
    Column("file", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""Copies that `gateway backup` made and checked."""

ehr_resources = Table(
    "ehr_resources",
    metadata,
    Column("id", Key, primary_key=True),
    Column("ehr", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="FHIR resource type"),
    Column("identifier", Text, nullable=False, comment="system|value by which it is known to us"),
    Column("resource_id", Text, nullable=False, comment="Its logical id over there"),
    Column("version", Text, nullable=False, comment="meta.versionId that we saw last, empty: unknown"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of what we wrote last, empty: only found"),
    Column("written_at", BigInteger, nullable=False),
    UniqueConstraint("ehr", "kind", "identifier"),
    Index("ix_ehr_resources_id", "ehr", "kind", "resource_id", unique=True),
)

missing_links = Table(
    "missing_links",
    metadata,
    Column("id", Key, primary_key=True),
    Column("ehr", Text, nullable=False),
    Column("lane", Text, nullable=False, comment="Of the looks for what a delivered resource lacks"),
    Column("kind", Text, nullable=False, comment="FHIR resource type of what it refers to"),
    Column("identifier", Text, nullable=False, comment="system|value of what it refers to"),
    Column("since", BigInteger, nullable=False),
    Index(None, "ehr", "kind", "identifier"),
    Index(None, "ehr", "lane"),
)

audit_waiting = Table(
    "audit_waiting",
    metadata,
    Column("id", Key, primary_key=True),
    Column("number", Integer, nullable=False, comment="Of events"),
    Column("events", Text, nullable=False, comment="Canonical JSON, a line for each"),
)
"""Events of the audit trail that are not chained yet, a row for each commit: there for a second or so."""

audit = Table(
    "audit",
    metadata,
    Column("sequence", Key, primary_key=True, autoincrement=False),
    Column("moment", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Name, nullable=False),
    Column("event", Text, nullable=False, comment="Canonical JSON, of which the other columns are taken"),
    Column("hash", LargeBinary, nullable=False, comment="SHA-256 over the hash before it, the sequence and the event"),
    Index(None, "kind", "sequence"),
    Index(None, "actor", "sequence"),
)
"""The audit trail: rows are added at its end and removed at its beginning, never changed."""

audit_patients = Table(
    "audit_patients",
    metadata,
    Column("patient_id", Name, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

audit_anchors = Table(
    "audit_anchors",
    metadata,
    Column("id", Key, primary_key=True),
    Column("sequence", BigInteger, nullable=False, comment="Of the last row that was removed"),
    Column("hash", LargeBinary, nullable=False, comment="Of that row: what the first row that is left builds on"),
    Column("removed", BigInteger, nullable=False, comment="Rows, in all"),
    Column("moved_at", BigInteger, nullable=False),
)
"""At most one row: where the chain begins since rows were removed by the rule of their age."""

audit_repositories = Table(
    "audit_repositories",
    metadata,
    Column("name", Text, primary_key=True, comment="In the configuration"),
    Column("sequence", BigInteger, nullable=False, comment="Of the last row that was sent or skipped"),
    Column("skipped", BigInteger, nullable=False, server_default=text("0"), comment="Rows that were never sent"),
    Column("away_since", BigInteger, nullable=True),
    Column("reason", Text, nullable=False, server_default=text("''"), comment="Why the last try failed"),
    Column("sent_at", BigInteger, nullable=True),
    Column("holder", Text, nullable=False, server_default=text("''"), comment="The process that sends"),
    Column("held_until", BigInteger, nullable=False, server_default=text("0")),
)
"""How far each repository that takes audit messages has been sent."""

imaging_studies = Table(
    "imaging_studies",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_uid", Text, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False, comment="Of the study, that was looked at last"),
    Column("updated_at", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the resource"),
    Column("started_from", BigInteger, nullable=False),
    Column("started_to", BigInteger, nullable=False),
    Column("resource", Json, nullable=False, comment="FHIR R4 ImagingStudy as it is served to those who ask"),
    Index(None, "updated_at", "id"),
    Index(None, "started_from", "id"),
)

imaging_study_tokens = Table(
    "imaging_study_tokens",
    metadata,
    Column("id", Key, primary_key=True),
    Column("imaging_study", Key, ForeignKey("imaging_studies.id"), nullable=False, index=True),
    Column("parameter", Text, nullable=False, comment="FHIR search parameter"),
    Column("system", Text, nullable=False),
    Column("value", Text, nullable=False),
    Index("ix_imaging_study_tokens_found", "value", "parameter", "system", "imaging_study"),
)

users = Table(
    "users",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Name, nullable=False, unique=True, comment="In lower case"),
    Column("role", Text, nullable=False, comment="viewer, operator or admin"),
    Column("login", Text, nullable=False, comment="password, or oidc: the identity provider says name and role"),
    Column("subject", Text, nullable=True, unique=True, comment="issuer|sub of the identity provider"),
    Column("password_hash", Text, nullable=False, comment="Argon2id in its PHC form; empty: none has been set"),
    Column("enabled", Boolean, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("seen_at", BigInteger, nullable=True, comment="Last login"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Key, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of what the browser has"),
    Column("user_id", Key, ForeignKey("users.id"), nullable=False, index=True),
    Column("begun_at", BigInteger, nullable=False, index=True),
    Column("seen_at", BigInteger, nullable=False),
    Column("id_token", Text, nullable=False, comment="Of the identity provider, for its logout"),
)

password_links = Table(
    "password_links",
    metadata,
    Column("id", Key, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of what the link holds"),
    Column("user_id", Key, ForeignKey("users.id"), nullable=False, unique=True, comment="A new link ends the old one"),
    Column("expires_at", BigInteger, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Name, nullable=False, unique=True, comment="Of the client that has it"),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the token"),
    Column("role", Text, nullable=False, comment="Empty: it is a scanner's"),
    Column("ae_title", Text, nullable=False, comment="Of the scanner; empty: it is none"),
    Column("made_at", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=True),
    Column("revoked_at", BigInteger, nullable=True),
    Column("last_used_at", BigInteger, nullable=True),
)

legal_holds = Table(
    "legal_holds",
    metadata,
    Column("id", Key, primary_key=True),
    Column("subject", Text, nullable=False, comment="patient or accession"),
    Column("value", Text, nullable=False, comment="Patient ID or accession number"),
    Column("issuer", Text, nullable=False, comment="Of the Patient ID; empty: whoever gave it"),
    Column("person", Text, nullable=False, comment="Who wants it"),
    Column("note", Text, nullable=False, comment="Why, in the person's words"),
    Column("held_at", BigInteger, nullable=False),
    Column("released_at", BigInteger, nullable=True, comment="When it was taken back; null: it is in force"),
    Column("released_by", Text, nullable=False, server_default=text("''"), comment="Who took it back"),
    Column("release_note", Text, nullable=False, server_default=text("''"), comment="Why it was taken back"),
    Index(None, "value"),
    Index(
        "ix_legal_holds_in_force",
        "id",
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
)

retention_runs = Table(
    "retention_runs",
    metadata,
    Column("id", Key, primary_key=True),
    Column("begun_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=True, comment="Null: it is under way, or its process ended"),
    Column("holder", Text, nullable=False, comment="Of one process, made up"),
    Column("lease_until", BigInteger, nullable=False),
    Column("kind", Text, nullable=False, comment="Where it is"),
    Column("tallies", Json, nullable=False, comment="Kind -> {deleted, stayed, failed}"),
    Column("bytes_before", BigInteger, nullable=True, comment="Of the SQLite file"),
    Column("bytes_after", BigInteger, nullable=True),
)
"""Runs of retention, one at a time; the last of them are kept."""

deleted_studies = Table(
    "deleted_studies",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the Study Instance UID"),
    Column("deleted_at", BigInteger, nullable=False),
    Column("instances", BigInteger, nullable=False, comment="How many it had"),
)
"""Studies that retention deleted: what comes of such a study later may be a part of it alone."""

erasures = Table(
    "erasures",
    metadata,
    Column("id", Key, primary_key=True),
    Column("begun_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=True, comment="Null: not all is deleted yet"),
    Column("pseudonym", Text, nullable=False, comment="Begin of the SHA-256 of Patient ID and issuer"),
    Column("person", Text, nullable=False, comment="Who wants it"),
    Column("note", Text, nullable=False, comment="Why, in the person's words"),
    Column("targets", Json, nullable=False, comment="What is looked for; empty once all is deleted"),
    Column("deleted", Json, nullable=False, comment="Table -> rows"),
)
"""Erasures of patients. Nothing of the patient is left in the row of an erasure that ended."""

source_watermarks = Table(
    "source_watermarks",
    metadata,
    Column("source", Text, primary_key=True, comment="Its name in the configuration"),
    Column("watermark", Json, nullable=False, comment="How far it was listed, in its own terms and for people"),
    Column("polled_at", BigInteger, nullable=True, comment="When a poll came to its end last"),
    Column("failed_at", BigInteger, nullable=True, comment="Since when polls fail"),
    Column("error", Text, nullable=False, comment="Why it failed"),
    Column("listed", BigInteger, nullable=False, comment="Studies in all answers"),
    Column("wanted", BigInteger, nullable=False, comment="Those of them that were new or changed"),
    Column("dropped", BigInteger, nullable=False, comment="Answers that the question excludes"),
)
"""Sources of studies that are asked."""

source_studies = Table(
    "source_studies",
    metadata,
    Column("id", Key, primary_key=True),
    Column("source", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the Study Instance UID"),
    Column("state", Text, nullable=False, comment="What the source stated of it when it was read"),
    Column("read_at", BigInteger, nullable=False),
    UniqueConstraint("source", "digest"),
)
"""Studies that were read at a source: what is stated unchanged is not read again."""
