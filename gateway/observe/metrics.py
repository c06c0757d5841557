# Long: every metric in one place, as a page of them is read.
"""What the gateway counts, for Prometheus (text format 0.0.4).

The stations increment these; the console shows them at `/metrics`. A label says which listener, which status, which
EHR: names from the configuration and codes from the standards, never anything of a patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

BUILD: Final = Gauge(
    "gateway_build_info", "Always 1; the version of the gateway, and of the Python that it runs on.",
    ("version", "python"), registry=REGISTRY,
)  # fmt: skip
MESSAGES: Final = Counter(
    "gateway_hl7_messages",
    "HL7 messages answered, by listener and acknowledgement code (MSA-1; `none` when the connection was closed).",
    ("listener", "ack"),
    registry=REGISTRY,
)
REFUSED: Final = Counter(
    "gateway_hl7_refused",
    "What an HL7 listener turned away, by reason: connections (too many), connections of address, address "
    "(not listed), tls (handshake), certificate, sender (not listed under sources), too large, too slow, truncated.",
    ("listener", "reason"),
    registry=REGISTRY,
)
HTTP_REFUSED: Final = Counter(
    "gateway_http_refused",
    "HTTP connections that were turned away or ended, by reason: connections (too many), connections of address, "
    "head, body, answer (which took the peer too long).",
    ("reason",),
    registry=REGISTRY,
)
LOGINS: Final = Counter(
    "gateway_logins",
    "Logins over HTTP, by kind (password, oidc, token) and outcome: done, wrong, throttled (too many wrong before); of "
    "tokens only the refused are counted.",
    ("login", "outcome"),
    registry=REGISTRY,
)
CHECKS: Final = Counter(
    "gateway_hl7_structure_checks",
    "Messages whose structure was to be checked, by outcome: checked, skipped (too many waited), failed.",
    ("listener", "outcome"),
    registry=REGISTRY,
)
FINDS: Final = Counter(
    "gateway_worklist_queries",
    "Worklist queries over DIMSE and the web, by final status of a C-FIND in hexadecimal (0000, A700, ...).",
    ("status",),
    registry=REGISTRY,
)
FIND_SECONDS: Final = Histogram(
    "gateway_worklist_query_seconds",
    "Time from a worklist C-FIND request to its final response, in seconds.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)
DICOM_REFUSED: Final = Counter(
    "gateway_dicom_refused",
    "What the DICOM ports turned away, by what: connection (too many), association, context.",
    ("what",),
    registry=REGISTRY,
)
STORES: Final = Counter(
    "gateway_stores",
    "C-STORE requests, by status in hexadecimal (0000, A700, A900, C000).",
    ("status",),
    registry=REGISTRY,
)
STOWS: Final = Counter(
    "gateway_stow_instances",
    "Instances that came by STOW-RS, by Failure Reason in hexadecimal (0000: kept; A700, A900, C000).",
    ("reason",),
    registry=REGISTRY,
)
SPOOL_FILES: Final = Gauge("gateway_spool_files", "Files of the spool, as counted.", registry=REGISTRY)
SPOOL_BYTES: Final = Gauge(
    "gateway_spool_bytes", "Bytes of the files of the spool, with those that are being written.", registry=REGISTRY
)
PERFORMED_STEPS: Final = Counter(
    "gateway_performed_step_requests",
    "MPPS requests, by operation and status: N-CREATE, N-SET, N-GET in hexadecimal (0000, 0110, ...), over the web "
    "Create, Update, Retrieve with the HTTP status.",
    ("operation", "status"),
    registry=REGISTRY,
)
AVAILABILITY_NOTIFICATIONS: Final = Counter(
    "gateway_availability_notifications",
    "Instance Availability Notifications received, by status (0000, 0111, ...).",
    ("status",),
    registry=REGISTRY,
)
COMMITMENT_REQUESTS: Final = Counter(
    "gateway_commitment_requests",
    "Storage commitment requests, by status (N-ACTION: 0000, 0115, ...; over the web: 202, 409, ...).",
    ("status",),
    registry=REGISTRY,
)
COMMITMENT_REPORTS: Final = Counter(
    "gateway_commitment_reports",
    "Storage commitment reports (N-EVENT-REPORT), by event type (1: all committed, 2: some failed), way (same: the "
    "association of the request, new; fetched: over the web) and status of the answer.",
    ("event", "way", "status"),
    registry=REGISTRY,
)
COMMITMENTS_ASKED: Final = Counter(
    "gateway_commitments_asked",
    "Storage commitment requests made at archives (N-ACTION), by destination and status of the answer.",
    ("destination", "status"),
    registry=REGISTRY,
)
COMMITMENTS_GIVEN: Final = Counter(
    "gateway_commitments_given",
    "Instances of which archives reported the storage commitment, by destination and outcome (committed, failed).",
    ("destination", "outcome"),
    registry=REGISTRY,
)
SILENT_STEPS: Final = Gauge(
    "gateway_performed_steps_silent",
    "Performed steps in progress without a sign of life for longer than performed_steps.silent_hours.",
    registry=REGISTRY,
)
RETENTION_DELETED: Final = Counter(
    "gateway_retention_deleted",
    "Rows that retention deleted, by the kind whose age counted and the table.",
    ("kind", "table"),
    registry=REGISTRY,
)
RETENTION_STAYS: Final = Gauge(
    "gateway_retention_stays",
    "Rows that are old enough and stayed at the last run, by kind and reason.",
    ("kind", "reason"),
    registry=REGISTRY,
)
RETENTION_FAILED: Final = Counter(
    "gateway_retention_failed",
    "Rows that retention could not delete, by kind.",
    ("kind",),
    registry=REGISTRY,
)
RETENTION_RUNNING: Final = Gauge(
    "gateway_retention_running",
    "1 while this gateway deletes by retention.",
    registry=REGISTRY,
)
WORK: Final = Counter(
    "gateway_outbox_tries",
    "Tries to do what waits, by kind (`settle`, `ehr:NAME`, `status:NAME`) and outcome (done, retry, park, reject, "
    "wait: what it needs has not come, lost: another process has the work).",
    ("kind", "outcome"),
    registry=REGISTRY,
)
OUTBOX: Final = Gauge(
    "gateway_outbox_rows",
    "Work that is not done, by kind and state (pending, leased, parked).",
    ("kind", "state"),
    registry=REGISTRY,
)
STUDIES_BY_ORDER: Final = Gauge(
    "gateway_studies_with_order", "Studies by how they stand with their orders: held until a person looks, differs "
    "(delivered all the same), unmatched (no order is known to be theirs).", ("standing",), registry=REGISTRY,
)  # fmt: skip
RECONCILED_AT: Final = Gauge(
    "gateway_reconciled_at_seconds", "When archive, gateway and EHRs were last compared here, since 1970; 0: never.",
    registry=REGISTRY,
)  # fmt: skip
RECONCILE_DIFFERENCES: Final = Gauge(
    "gateway_reconcile_differences", "What differed then, by place (gateway, an EHR) and kind (missing, different).",
    ("place", "kind"), registry=REGISTRY,
)  # fmt: skip
EHR_OPEN: Final = Gauge(
    "gateway_ehr_breaker_open",
    "1 while an EHR does not answer and its work waits, by name.",
    ("ehr",),
    registry=REGISTRY,
)
DESTINATION_OPEN: Final = Gauge(
    "gateway_hl7_destination_breaker_open",
    "1 while an HL7 destination does not answer and its work waits, by name.",
    ("destination",),
    registry=REGISTRY,
)
DICOM_DESTINATION_OPEN: Final = Gauge(
    "gateway_dicom_destination_breaker_open",
    "1 while a DICOM destination does not answer and its work waits, by name.",
    ("destination",),
    registry=REGISTRY,
)
STEP_REQUESTS_SENT: Final = Counter(
    "gateway_performed_step_requests_sent",
    "Requests made at DICOM destinations, by destination, operation (N-CREATE and N-SET of performed steps; IAN) and "
    "status in hexadecimal.",
    ("destination", "operation", "status"),
    registry=REGISTRY,
)
IMAGES_SENT: Final = Counter(
    "gateway_images_sent",
    "Instances sent, by destination and status of the answer: of DIMSE in hexadecimal, of HTTP, or written.",
    ("destination", "status"),
    registry=REGISTRY,
)
SOURCE_OPEN: Final = Gauge(
    "gateway_source_open",
    "1 while a source of studies does not answer and its work waits, by name.",
    ("source",),
    registry=REGISTRY,
)
SOURCE_POLLS: Final = Counter(
    "gateway_source_polls",
    "Polls of sources of studies, by name and outcome: done, failed.",
    ("source", "outcome"),
    registry=REGISTRY,
)
SOURCE_STUDIES: Final = Counter(
    "gateway_source_studies",
    "Studies that sources listed, by name: listed, wanted (new or changed), dropped (not what was asked for).",
    ("source", "what"),
    registry=REGISTRY,
)
SOURCE_INSTANCES: Final = Counter(
    "gateway_source_instances",
    "Instances that were read at sources of studies, by name and outcome: kept, refused.",
    ("source", "outcome"),
    registry=REGISTRY,
)
AUDIT_WAITING: Final = Gauge(
    "gateway_audit_waiting",
    "Events of the audit trail that a repository has not been sent yet, by name.",
    ("repository",),
    registry=REGISTRY,
)
AUDIT_AWAY: Final = Gauge(
    "gateway_audit_repository_away",
    "1 while a repository of the audit trail cannot be sent to, by name.",
    ("repository",),
    registry=REGISTRY,
)
AUDIT_SKIPPED: Final = Counter(
    "gateway_audit_skipped",
    "Events that a repository was never sent, because too many waited or it refused them, by name.",
    ("repository",),
    registry=REGISTRY,
)
AUDIT_CHAIN_BROKEN: Final = Gauge(
    "gateway_audit_chain_broken",
    "1 while the check of the audit trail in the background finds its chain broken.",
    registry=REGISTRY,
)
AUDIT_CHAIN_CHECKED: Final = Counter(
    "gateway_audit_chain_rows_checked",
    "Rows of the audit trail whose place in the chain the check in the background has proven.",
    registry=REGISTRY,
)
PARTS: Final = Gauge(
    "gateway_part_state",
    "How a part of the gateway is, by kind (database, disk, listener, scanner, receiver, certificate, ...) and name: "
    "0 good, 1 will need a person, 2 needs a person.",
    ("kind", "name"),
    registry=REGISTRY,
)
PROCESS_ANSWERED: Final = Gauge(
    "gateway_process_answered",
    "1 for each of several processes whose counts are on this page, 0 where it did not answer.",
    ("process",),
    registry=REGISTRY,
)
DATABASE_UP: Final = Gauge("gateway_database_up", "1 when the database answered this scrape.", registry=REGISTRY)

DATABASE_WRITABLE: Final = Gauge(
    "gateway_database_writable", "1 while the database takes writing, proved by a commit.", registry=REGISTRY
)
CLOCK_JUMPS: Final = Counter(
    "gateway_clock_jumps", "How often the wall clock was set while the gateway ran, by direction: forward, back.",
    ("direction",), registry=REGISTRY,
)  # fmt: skip


def show_parts(parts: Iterable[tuple[str, str, int]]) -> None:
    """Let `PARTS` show these and no other: kind, name, number."""
    PARTS.clear()
    for kind, name, number in parts:
        PARTS.labels(kind, name).set(number)


NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


def render(waiting: Iterable[tuple[str, str, int]] | None, standings: Mapping[str, int] = NOTHING) -> bytes:
    """All metrics as text (Prometheus text format 0.0.4).

    `waiting`: kind, state and number of rows of the work that is not done; None when the database did not answer.
    `standings`: how studies stand with their orders -> how many do.
    """
    OUTBOX.clear()
    STUDIES_BY_ORDER.clear()
    for standing, number in standings.items():
        STUDIES_BY_ORDER.labels(standing).set(number)
    DATABASE_UP.set(waiting is not None)
    for kind, state, rows in waiting or ():
        OUTBOX.labels(kind, state).set(rows)
    return as_counted()


def as_counted() -> bytes:
    """All metrics as text, as they stand."""
    return generate_latest(REGISTRY)
