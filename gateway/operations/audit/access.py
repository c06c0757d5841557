"""Who looked at which patients, and who pressed what: taken of what a page or an answer shows, whatever shows it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from pydantic import BaseModel

from gateway.records.audit import (
    GATEWAY,
    MOST_PATIENTS,
    Action,
    Actor,
    ActorKind,
    AuditEvent,
    AuditKind,
    AuditType,
    Outcome,
)
from gateway.records.person import Login, Person, Role

_PATIENT: Final = frozenset({"patient_id", "PatientID"})
_ACCESSION: Final = frozenset({"accession", "accession_number", "AccessionNumber"})
_STUDY: Final = frozenset({"study_uid", "StudyInstanceUID"})
MOST_VALUES: Final = 20_000
"""Of a page or answer that are looked at."""
MOST_STUDIES: Final = 50


@dataclass(frozen=True, slots=True)
class Subjects:
    """Whose data a page or an answer shows."""

    patients: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    accession_numbers: tuple[str, ...] = ()
    more_patients: int = 0
    """Beyond those that are named."""

    def __bool__(self) -> bool:
        return bool(self.patients or self.studies or self.accession_numbers)


def subjects_of(shown: object) -> Subjects:
    """The Patient IDs, Study Instance UIDs and accession numbers in models, dataclasses, mappings and lists, found by
    the names of their fields."""
    found: dict[str, dict[str, None]] = {"patient": {}, "study": {}, "accession": {}}
    waiting: list[object] = [shown]
    looked = 0
    while waiting and looked < MOST_VALUES:
        looked += 1
        for name, value in _named(waiting.pop()):
            if isinstance(value, str):
                kind = _kind_of(name)
                if kind and value:
                    found[kind][value] = None
            elif value is not None and not isinstance(value, int | float | bytes):
                waiting.append(value)
    patients = list(found["patient"])
    return Subjects(
        tuple(patients[:MOST_PATIENTS]), tuple(found["study"])[:MOST_STUDIES], tuple(found["accession"])[:MOST_STUDIES],
        max(len(patients) - MOST_PATIENTS, 0),
    )  # fmt: skip


def _named(value: object) -> Iterable[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        return ((name, getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return ((str(name), one) for name, one in value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return ((field.name, getattr(value, field.name, None)) for field in fields(value))
    if isinstance(value, list | tuple | set | frozenset):
        return (("", one) for one in value)
    return ()


def _kind_of(name: str) -> str:
    if name in _PATIENT:
        return "patient"
    if name in _STUDY:
        return "study"
    return "accession" if name in _ACCESSION else ""


def actor_of(person: Person) -> Actor:
    """A person, or a program with a token, as one who takes part in an event."""
    kind = ActorKind.CLIENT if person.login in (Login.TOKEN, Login.CLIENT) else ActorKind.PERSON
    return Actor(person.name or person.login.value, kind, person.address, person.role.value)


def looked_at(person: Person, path: str, subjects: Subjects, moment: int) -> AuditEvent:
    """A person or client was shown data of patients."""
    of_studies = path.startswith(("/studies", "/api/studies", "/fhir", "/dicomweb/studies"))
    detail = {"path": path}
    if subjects.more_patients:
        detail["more patients"] = str(subjects.more_patients)
    return AuditEvent(
        AuditKind.INSTANCES_ACCESSED if of_studies else AuditKind.PATIENT_RECORD, Action.READ, moment, actor_of(person),
        patients=subjects.patients, studies=subjects.studies, accession_numbers=subjects.accession_numbers,
        detail=detail,
    )  # fmt: skip


def searched(person: Person, address: str, subjects: Subjects, moment: int) -> AuditEvent:
    """A person or client searched for studies over DICOMweb, and was shown these. `address`: path and query."""
    detail = {"query": base64.b64encode(address.encode()).decode()}
    if subjects.more_patients:
        detail["more patients"] = str(subjects.more_patients)
    return AuditEvent(
        AuditKind.QUERY, Action.EXECUTE, moment, actor_of(person), patients=subjects.patients,
        studies=subjects.studies, accession_numbers=subjects.accession_numbers, detail=detail,
    )  # fmt: skip


def retrieved(person: Person, path: str, subjects: Subjects, number: int, moment: int) -> AuditEvent:
    """Instances with their pixels were sent to a person or client."""
    return AuditEvent(
        AuditKind.INSTANCES_TRANSFERRED, Action.READ, moment, GATEWAY, peer=actor_of(person),
        patients=subjects.patients, studies=subjects.studies, accession_numbers=subjects.accession_numbers,
        detail={"path": path, "number of instances": str(number)},
    )  # fmt: skip


def pressed(person: Person, path: str, subjects: Subjects, moment: int) -> AuditEvent | None:
    """A person or client had something done; None: what is done records itself, with whoever did it."""
    row = next((row for row in CHANGES if path.startswith(row[0])), None)
    if row is None:
        return None
    _, kind, action, what = row
    return AuditEvent(
        kind, action, moment, actor_of(person), what, patients=subjects.patients, studies=subjects.studies,
        accession_numbers=subjects.accession_numbers, detail={"path": path},
    )  # fmt: skip


def refused(person: Person, path: str, needed: Role, moment: int) -> AuditEvent:
    """A person or client asked for what the role does not allow."""
    return AuditEvent(
        AuditKind.SECURITY_ALERT, Action.EXECUTE, moment, actor_of(person), AuditType.USE_OF_RESTRICTED_FUNCTION,
        Outcome.MINOR_FAILURE, detail={"path": path, "needs": needed.value},
    )  # fmt: skip


_Change = tuple[str, AuditKind, Action, AuditType]
CHANGES: Final[tuple[_Change, ...]] = (
    ("/api/messages", AuditKind.ORDER_RECORD, Action.UPDATE, AuditType.NONE),
    ("/api/message-causes", AuditKind.ORDER_RECORD, Action.UPDATE, AuditType.NONE),
    ("/api/refusals", AuditKind.SECURITY_ALERT, Action.EXECUTE, AuditType.USE_OF_RESTRICTED_FUNCTION),
    ("/api/causes", AuditKind.SECURITY_ALERT, Action.EXECUTE, AuditType.USE_OF_RESTRICTED_FUNCTION),
    ("/api/deliveries", AuditKind.SECURITY_ALERT, Action.EXECUTE, AuditType.USE_OF_RESTRICTED_FUNCTION),
    ("/api/receivers", AuditKind.SECURITY_ALERT, Action.EXECUTE, AuditType.USE_OF_RESTRICTED_FUNCTION),
    ("/api/studies", AuditKind.INSTANCES_ACCESSED, Action.UPDATE, AuditType.NONE),
    ("/api/reload", AuditKind.SECURITY_ALERT, Action.EXECUTE, AuditType.SOFTWARE_CONFIGURATION),
    ("/api/legal-holds", AuditKind.SECURITY_ALERT, Action.EXECUTE, AuditType.USE_OF_RESTRICTED_FUNCTION),
    ("/mappings/explain", AuditKind.PATIENT_RECORD, Action.READ, AuditType.NONE),
)
"""Path -> what a request that changes something is recorded as. Links of performed steps, users, tokens and logins are
recorded where they are made."""
