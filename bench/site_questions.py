"""What is asked of a gateway all day long, over the database of `large_site`: each kind with a number that is another
each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydicom import Dataset
from sqlalchemy import Connection

from bench import large_site, order_book
from bench.dicom_client import encoded
from bench.worklist import asked_for
from gateway.clock import now
from gateway.operations.retention import PAGE, RULES, end_of, judged_rows
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.retention import DAY, Limits
from gateway.records.work import WorkKind
from gateway.store import outbox_claims, outbox_looks, reconciling, study_findings
from gateway.store.retention.rule import Rule

HTML, JSON, DICOM = "text/html", "application/json", "application/dicom+json"
KIND: Final = WorkKind.of("ehr:main")
_FHIR: Final = "/fhir/ImagingStudy"
_STUDIES: Final = "/dicomweb/studies"


@dataclass(frozen=True)
class Request:
    path: str
    accept: str = JSON


@dataclass(frozen=True)
class Site:
    """A database of `large_site`."""

    orders: int

    def numbers(self, count: int) -> range:
        """Of orders, from all over the site."""
        return range(0, self.orders, max(1, self.orders // count))[:count]

    @property
    def first_open(self) -> int:
        return self.orders - large_site.OPEN


def requests(site: Site, number: int) -> Mapping[str, Request]:
    """Kind -> what is asked over HTTP."""
    uid, message = f"2.25.7{number}", number * large_site.PER_ORDER + 1
    today = f"{datetime.now(UTC):%Y%m%d}"
    words = {
        "accession number": f"A{number}", "patient ID": f"P{number}", "order number": f"F{number}",
        "control ID": f"M{message}", "Study Instance UID": uid, "name": f"Person{number}",
        "common beginning of a name": "Pers", "number of a message not applied": f"W{message + 998}",
        "nothing": f"NOTHING{number}",
    }  # fmt: skip
    pages = {
        "Now": "/", "Messages": "/messages", "Messages, a state": "/messages?state=rejected",
        "Messages, to be looked at": "/messages?put=open", "Messages, a cause": f"/messages?cause={large_site.CAUSE}",
        "Messages, listener and type": "/messages?listener=ris&type=ADT", "Messages, a day": f"/messages?day={today}",
        "Messages, far back": f"/messages?before={message + 5000}", "a message": f"/messages/{message}",
        **{f"Search, {kind}": f"/search?q={word}" for kind, word in words.items()},
        "an order": f"/orders/{number + 1}", "a patient": f"/patients/{number + 1}",
        "an accession number": f"/accessions/A{number}", "Deliveries": "/deliveries",
        "Deliveries, parked": "/deliveries?state=parked",
        "Deliveries, done, of an EHR": "/deliveries?receiver=main&state=done",
        "Studies": "/studies", "Studies, a patient": f"/studies?patient=P{number}",
        "Studies, delivered": "/studies?standing=delivered", "Studies, waiting": "/studies?standing=waits",
        "a study": f"/studies/{uid}", "Worklist of a scanner": "/worklist?scanner=SCANNER1", "Figures": "/figures",
        "Audit": "/audit", "Audit, a patient": f"/audit?patient=P{number}", "Audit, a day": f"/audit?day={today}",
        "Audit, an actor": "/audit?who=RIS%7CHOSP", "System": "/system",
    }  # fmt: skip
    routes = {
        "state": "/api/state", "metrics": "/metrics", "readiness": "/health/ready", "worklist": "/api/worklist",
        "journey": f"/api/journey/A{number}", "orders of a patient": f"/api/orders?patient=P{number}",
        "why": f"/api/why/A{number}?station=SCANNER1", "messages of a state": "/api/messages?state=applied",
        "causes of work": "/api/causes", "causes of messages": "/api/message-causes",
        "turn-around times": "/api/turnaround", "unlinked steps": "/api/unlinked", "silent steps": "/api/silent",
    }  # fmt: skip
    searches = {
        "all": f"{_STUDIES}?limit=25", "a patient": f"{_STUDIES}?PatientID=P{number}",
        "accession number": f"{_STUDIES}?AccessionNumber=A{number}", "a day": f"{_STUDIES}?StudyDate={today}&limit=25",
        "name": f"{_STUDIES}?PatientName=Person{number}^*", "modality": f"{_STUDIES}?ModalitiesInStudy=CT&limit=25",
        "modality of none": f"{_STUDIES}?ModalitiesInStudy=ZZ", "series of a study": f"{_STUDIES}/{uid}/series",
        "instances of a study": f"{_STUDIES}/{uid}/instances", "metadata of a study": f"{_STUDIES}/{uid}/metadata",
    }  # fmt: skip
    facade = {
        "read": f"{_FHIR}/{uid}", "a patient": f"{_FHIR}?patient:identifier=urn:oid:2.25.1%7CP{number}",
        "accession number": f"{_FHIR}?identifier=urn:oid:2.25.2%7CA{number}",
        "changed lately": f"{_FHIR}?_lastUpdated=gt{datetime.now(UTC):%Y-%m-%d}&_count=20",
        "modality": f"{_FHIR}?modality=CT&_count=20", "newest": f"{_FHIR}?_sort=-started&_count=20",
        "status, newest": f"{_FHIR}?status=available&_sort=-_lastUpdated&_count=20",
    }  # fmt: skip
    return {
        **{f"page: {kind}": Request(path, HTML) for kind, path in pages.items()},
        **{f"API: {kind}": Request(path) for kind, path in routes.items()},
        **{f"QIDO-RS: {kind}": Request(path, DICOM) for kind, path in searches.items()},
        **{f"FHIR: {kind}": Request(path, "application/fhir+json") for kind, path in facade.items()},
    }


def finds(number: int) -> Mapping[str, bytes]:
    """Kind -> identifier of a C-FIND of the worklist; `number`: of an order whose step is open."""
    day = order_book.day(number)
    asked: dict[str, Dataset] = {
        "accession number": asked_for(AccessionNumber=f"A{number}"), "Patient ID": asked_for(PatientID=f"P{number}"),
        "patient name": asked_for(PatientName=f"{order_book.name(number).split('^')[0]}^*"),
        "Requested Procedure ID": asked_for(RequestedProcedureID=f"R{number}"),
        "Study Instance UID": asked_for(StudyInstanceUID=f"2.25.7{number}"),
        "day and modality": asked_for({"ScheduledProcedureStepStartDate": day, "Modality": order_book.COMMON}),
        "everything open": asked_for({"Modality": order_book.COMMON}),
    }  # fmt: skip
    return {f"C-FIND: {kind}": encoded(one) for kind, one in asked.items()}


Look = Callable[[Connection, int], Any]


def _claim(connection: Connection, _number: int) -> None:
    with connection.begin_nested() as savepoint:
        outbox_claims.claim(connection, kind=KIND, now=now(), lease_micros=60_000_000, limit=16)
        savepoint.rollback()


def _old(rule: Rule) -> Look:
    def look(connection: Connection, _number: int) -> None:
        before = now() - DAY // 2
        end_of(connection, rule, before)
        judged_rows(connection, rule, rule.page(connection, after=0, end=2**62, limit=PAGE), Limits(before, now=now()))

    return look


def _days(connection: Connection, _number: int) -> None:
    reconciling.of_day(connection, datetime.now(UTC).date())


LOOKS: Final[Mapping[str, Look]] = {
    "worker: claim of 16": _claim,
    "worker: is anything due": lambda connection, _: outbox_looks.has_due(connection, KIND, now()),
    "worker: when is the next due": lambda connection, _: outbox_looks.next_due(connection, KIND),
    **{f"retention: first page of {kind.value}": _old(rule) for kind, rule in RULES.items()},
    "reconcile: studies of a day": _days,
    "settling: UIDs of other studies": lambda connection, number: study_findings.shared_by(
        connection, StudyInstanceUID(f"2.25.7{number}")
    ),
}
"""Kind -> what the gateway asks by itself, in a transaction of the writer."""


def taken(look: Look, connection: Connection, number: int) -> float:
    """Seconds."""
    begun = time.perf_counter()
    look(connection, number)
    return time.perf_counter() - begun
