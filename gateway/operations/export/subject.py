"""The patient of a row: whose pseudonym and whose number of days count, and which words identify them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from gateway.operations.export import cleaning
from gateway.store import export_orders, patients

_NOBODY: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Subject:
    """`key`: Patient ID with its issuer; of what has no patient, a name of its own."""

    key: str
    is_patient: bool
    attributes: Mapping[str, Any]
    """Of the patient, for sex, age and words."""

    def sex(self) -> str:
        """Patient's Sex (0010,0040), as it is kept."""
        return str(self.attributes.get("PatientSex") or "")

    def age(self, micros: int) -> int | None:
        """Years at a moment; above 89 as 90."""
        born = str(self.attributes.get("PatientBirthDate") or "")
        return cleaning.age(born, datetime.fromtimestamp(micros / 1e6, UTC).date()) if born else None

    def words(self, *numbers: str) -> frozenset[str]:
        """Parts of the name, the Patient ID, the birth date and of `numbers`, which no code may hold."""
        named = (str(self.attributes.get(keyword) or "") for keyword in ("PatientName", "PatientBirthDate"))
        return cleaning.words_of(self.key, *named, *numbers)


def nobody(key: str) -> Subject:
    """Of what no patient is known of."""
    return Subject(key, False, _NOBODY)


def _of(row: Any) -> Subject:
    return Subject(f"{row['issuer']}|{row['patient_id']}", True, row["attributes"])


def subjects(connection: Connection, rows: Iterable[Any]) -> dict[int, Subject]:
    """Row of a patient -> who that is today, at the end of all merges.

    `rows`: with `patient_row`, `patient_id`, `issuer`, `merged_into` and `patient_attributes`.
    """
    today: dict[int, Subject] = {}
    for row in rows:
        if row.patient_row is None or row.patient_row in today:
            continue
        known = {
            "id": row.patient_row, "patient_id": row.patient_id, "issuer": row.issuer,
            "merged_into": row.merged_into, "attributes": row.patient_attributes,
        }  # fmt: skip
        today[row.patient_row] = _of(patients.survivor(connection, known))
    return today


def of_studies(connection: Connection, rows: Iterable[Any]) -> dict[int, Subject]:
    """Row of a study -> its patient: of the order with its UID, else who has its Patient ID and issuer, else the only
    one who has the Patient ID, else whom the images name."""
    studies = list(rows)
    ordered = export_orders.patients_of(connection, (row.ordered_patient for row in studies if row.ordered_patient))
    named = export_orders.patients_named(connection, (row.patient_id for row in studies if row.patient_id))
    today = subjects(connection, (*ordered, *named))
    by_id: dict[str, dict[str, Subject]] = {}
    for row in named:
        by_id.setdefault(row.patient_id, {})[row.issuer] = today[row.patient_row]
    return {row.id: _patient(row, today, by_id.get(row.patient_id, {})) for row in studies}


def _patient(row: Any, today: Mapping[int, Subject], by_issuer: Mapping[str, Subject]) -> Subject:
    if row.ordered_patient in today:
        return today[row.ordered_patient]
    if row.patient_issuer in by_issuer:
        return by_issuer[row.patient_issuer]
    same = {one.key: one for one in by_issuer.values()}
    if len(same) == 1 and not row.patient_issuer:
        return next(iter(same.values()))
    if not row.patient_id:
        return nobody(row.study_uid)
    return Subject(f"{row.patient_issuer}|{row.patient_id}", True, row.attributes)
