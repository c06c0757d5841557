"""The list of studies, with how each stands at the EHRs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from gateway.operations.answers.studies import ListedStudy, StudyList
from gateway.records.ehr_standing import EhrStanding, standing_of
from gateway.records.order_check import OrderStanding
from gateway.store import study_listing

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Empty: any."""

    patient_id: str = ""
    accession: str = ""
    standing: EhrStanding | None = None
    order: OrderStanding | None = None
    """How it stands with its orders."""


def study_list(connection: Connection, narrow: StudyFilter, *, before: int | None = None) -> StudyList:
    """A page of studies, newest first. `before`: only rows with a lower id."""
    found = study_listing.listing(
        connection, patient_id=narrow.patient_id, accession=narrow.accession, standing=narrow.standing,
        order_standing=narrow.order, before=before, limit=PAGE + 1,
    )  # fmt: skip
    rows, counted = found.rows, found.count
    work = study_listing.newest_work(connection, [row["study_uid"] for row in rows[:PAGE]])
    listed = [
        ListedStudy.model_validate(
            {
                **row,
                "patient_name": str(row["attributes"].get("PatientName") or ""),
                "description": str(row["attributes"].get("StudyDescription") or ""),
                "study_date": str(row["attributes"].get("StudyDate") or ""),
                "ehrs": work[row["study_uid"]],
                "standing": standing_of(
                    list(work[row["study_uid"]].values()), is_withdrawn=row["withdrawn_at"] is not None
                ),
            }
        )
        for row in rows[:PAGE]
    ]
    return StudyList(
        studies=listed,
        total=min(counted, study_listing.MOST_COUNTED),
        is_more=counted > study_listing.MOST_COUNTED,
        next_before=int(rows[PAGE - 1]["id"]) if len(rows) > PAGE else None,
    )
