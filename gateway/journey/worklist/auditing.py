"""The event of the audit trail that a worklist query is."""

from __future__ import annotations

import base64
from typing import Final

from gateway.journey.worklist.query import Query
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind, AuditType, Outcome

PATIENT_ID: Final = 0x00100020
WORKLIST_CLASS: Final = "1.2.840.10008.5.1.4.31"
LONGEST: Final = 16 * 1024
"""Bytes of a query that are kept; of a longer one its length."""
_FAILURES: Final = 0xA000
"""Statuses from here on are failures (PS3.7 Annex C); FE00, a cancel, is none."""
_CANCEL: Final = 0xFE00


def event_of_query(query: Query, status: int, matches: int, asked_at: int) -> AuditEvent:
    """A query that was answered with this status of a C-FIND."""
    key = query.keys.get(PATIENT_ID)
    patients = tuple(value for value in key.values if value and not set("*?") & set(value)) if key is not None else ()
    detail = {"SOP class": WORKLIST_CLASS, "status": f"{status:04X}", "matches": str(matches)}
    if len(query.as_it_came) <= LONGEST:
        detail["query"] = base64.b64encode(query.as_it_came).decode()
    else:
        detail["bytes of the query"] = str(len(query.as_it_came))
    if query.transfer_syntax_uid:
        detail["TransferSyntax"] = query.transfer_syntax_uid
    failed = status >= _FAILURES and status != _CANCEL
    return AuditEvent(
        AuditKind.QUERY, Action.EXECUTE, asked_at, Actor(query.scanner, ActorKind.SCANNER, query.address),
        AuditType.NONE, Outcome.MINOR_FAILURE if failed else Outcome.SUCCESS, None, patients, detail=detail,
    )  # fmt: skip
