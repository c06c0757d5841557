"""What rule each table of the database follows. A table without a row here fails a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.records.retention import RetentionKind


@dataclass(frozen=True, slots=True)
class TableRule:
    text: str
    """When its rows go, for people."""
    kind: RetentionKind | None = None
    """Whose age counts; None: no age of the configuration does."""


_K = RetentionKind
TABLE_RULES: Final[dict[str, TableRule]] = {
    "messages": TableRule("with the order of which they speak; without an order by their own age", _K.MESSAGES),
    "message_numbers": TableRule("with the message", _K.MESSAGES),
    "patients": TableRule("once nothing names the patient any more, by the age of orders", _K.PATIENTS),
    "orders": TableRule("by age, once all steps have ended and the study is gone", _K.ORDERS),
    "procedures": TableRule("with the order", _K.ORDERS),
    "steps": TableRule("with the order", _K.ORDERS),
    "order_messages": TableRule("with the order", _K.ORDERS),
    "patient_messages": TableRule("with the message or the patient", _K.MESSAGES),
    "queries": TableRule("by age", _K.QUERIES),
    "query_matches": TableRule("with the query or the step", _K.QUERIES),
    "performed_steps": TableRule("with the order; without an order by age, once ended", _K.PERFORMED_STEPS),
    "performed_step_links": TableRule("with the performed step or the order", _K.PERFORMED_STEPS),
    "unlinked_items": TableRule("with the performed step", _K.PERFORMED_STEPS),
    "link_changes": TableRule("with the performed step or the order", _K.PERFORMED_STEPS),
    "availability_notifications": TableRule("with the study", _K.STUDIES),
    "study_evidence": TableRule("with the study; of one that never came with the order or performed step", _K.STUDIES),
    "studies": TableRule("by age, once settled and delivered, if no order of it is open", _K.STUDIES),
    "series": TableRule("with the study", _K.STUDIES),
    "instances": TableRule("with the study", _K.STUDIES),
    "instance_findings": TableRule("with the study", _K.STUDIES),
    "former_uids": TableRule("with the study", _K.STUDIES),
    "moved_instances": TableRule("with the study where the instance is kept", _K.STUDIES),
    "pixel_files": TableRule("with the study", _K.STUDIES),
    "released_files": TableRule("seconds later, when the file is deleted from the disk"),
    "storage_commitments": TableRule("with the work that reported it", _K.WORK),
    "commitment_instances": TableRule("with the transaction or the instance", _K.WORK),
    "asked_commitments": TableRule("with the study", _K.STUDIES),
    "archive_commitments": TableRule("with the work that sent the instance", _K.WORK),
    "exclusions": TableRule("with the study", _K.STUDIES),
    "study_requests": TableRule("with the study", _K.STUDIES),
    "study_links": TableRule("with the study", _K.STUDIES),
    "order_conflicts": TableRule("with the study", _K.STUDIES),
    "imaging_studies": TableRule("with the study", _K.STUDIES),
    "imaging_study_tokens": TableRule("with the study", _K.STUDIES),
    "ehr_resources": TableRule("with the study or order that the resource is of", _K.STUDIES),
    "missing_links": TableRule("with the study or order that the resource is of", _K.STUDIES),
    "source_watermarks": TableRule("never; one row for each source of studies, without anything of a patient"),
    "source_studies": TableRule("never; holds a digest, and what an archive counted in the study"),
    "refusals": TableRule("by age; never more than 1,000", _K.REFUSALS),
    "unknown_codes": TableRule("after a week, by itself; holds codes, nothing of a patient"),
    "outbox": TableRule("by age, once done, overtaken or given up, and not the last of its lane", _K.WORK),
    "work_tries": TableRule("with the work", _K.WORK),
    "pauses": TableRule("when the receiver is resumed; one row for each receiver"),
    "heartbeats": TableRule("a day after the gateway ended; one row for each gateway"),
    "backups": TableRule("never more than 100; holds names of files"),
    "audit": TableRule("by age, from the beginning of the chain, which stays provable by an anchor", _K.AUDIT),
    "audit_patients": TableRule("with the audit row", _K.AUDIT),
    "audit_waiting": TableRule("a second or so later, when the event is chained"),
    "audit_anchors": TableRule("when the next takes its place; one row"),
    "audit_repositories": TableRule("never; one row for each repository, without anything of a patient"),
    "users": TableRule("never by age: people of the hospital, whom an admin disables"),
    "sessions": TableRule("when they expire or at logout"),
    "password_links": TableRule("when they are used or expire"),
    "api_tokens": TableRule("never by age: clients, whose tokens an admin revokes"),
    "legal_holds": TableRule("never: who held what, and why, is what a hold is for"),
    "retention_runs": TableRule("never more than 100; holds counts"),
    "reconciliations": TableRule("never more than 100; holds counts"),
    "deleted_studies": TableRule("when the study comes again whole, or is erased; holds a digest and a count"),
    "erasures": TableRule("never; once ended, it holds a pseudonym, counts and who wanted it"),
}  # fmt: skip
