"""A study as the API shows it. Functions of a connection, run in a reader thread."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.clock import now
from gateway.operations import moved_view
from gateway.operations.answers.completeness import Completeness, StatedOfStudy
from gateway.operations.answers.exclusions import StudyExclusion
from gateway.operations.answers.order_meeting import OrderConflict, OrderLink
from gateway.operations.answers.studies import Instance, JourneyDelivery, LinkedOrder, Series, StudyDetail
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.image_forwarding import ImageStanding
from gateway.store import (
    completeness,
    exclusions,
    image_forwards,
    order_conflicts,
    outbox_listing,
    settling,
    studies,
    study_findings,
    study_links,
    study_orders,
    work_tries,
)

MOST_DELIVERIES = 200


def summary(connection: Connection, row: RowMapping) -> dict[str, Any]:
    """The row with its counts and findings, as `answers.Study` wants it."""
    series, instances = studies.counts(connection, row["id"])
    shared = [one.as_row() for one in study_findings.of_shared_uids(connection, row["id"])]
    # What has never settled may wait for a person, who should know what was wrong with its instances.
    arrived = study_findings.of_arrival(connection, row["id"]) if row["settled_at"] is None else ()
    findings = [*row["findings"], *(one.as_row() for one in arrived), *shared]
    counts = {"series_count": series, "instance_count": instances}
    shown = {"findings": findings, "images": _images(connection, row["id"]), **_completeness(connection, row)}
    shown |= moved_view.of_study(connection, row["study_uid"])
    conflicts = [OrderConflict.of(one) for one in order_conflicts.of_study(connection, row["study_uid"])]
    return {**row, "conflicts": conflicts, **counts, **shown}


def _completeness(connection: Connection, row: RowMapping) -> dict[str, Completeness | None]:
    waits = settling.outlook(connection, row["study_uid"], now=now())
    return {
        "settled_because": Completeness.of_row(row["settled_because"]),
        "waits_because": None if waits is None or waits.settles else Completeness.of(waits),
    }


def _images(connection: Connection, study: int) -> list[dict[str, Any]]:
    return [
        {
            "destination": one.destination,
            "last_at": one.last_at,
            "corrected": dict(sorted(one.corrected.items())),
            **{standing.name.lower(): one.numbers.get(standing, 0) for standing in ImageStanding},
        }
        for one in image_forwards.standings(connection, study)
    ]


def linked(connection: Connection, row: RowMapping) -> list[RowMapping]:
    """The orders that the study answers."""
    return study_orders.of_row(connection, row)


def deliveries(connection: Connection, study_uid: StudyInstanceUID) -> list[JourneyDelivery]:
    """Work of the study with its failed tries, oldest first: the last `MOST_DELIVERIES` rows."""
    rows = outbox_listing.listing(connection, subject=study_uid, limit=MOST_DELIVERIES)
    tries = work_tries.of(connection, [row["id"] for row in rows if row["attempts"]])
    return [JourneyDelivery.model_validate({**row, "tries": tries.get(row["id"], [])}) for row in reversed(rows)]


def detail(connection: Connection, study_uid: StudyInstanceUID) -> StudyDetail | None:
    row = studies.get(connection, study_uid)
    if row is None:
        return None
    series = [
        Series(
            series_uid=row_of_series["series_uid"],
            attributes=row_of_series["attributes"],
            instances=[Instance.model_validate(dict(instance)) for instance in instances],
        )
        for row_of_series, instances in studies.tree(connection, row["id"])
    ]
    tied = {order["id"]: LinkedOrder.model_validate(dict(order)) for order in linked(connection, row)}
    return StudyDetail.model_validate(
        {
            **summary(connection, row),
            "exclusions": [StudyExclusion.of(one) for one in exclusions.history(connection, study_uid)],
            "evidence": [StatedOfStudy.of(one) for one in completeness.of_study(connection, study_uid)],
            "series": series,
            "orders": list(tied.values()),
            "links": [OrderLink.of(one) for one in study_links.history(connection, study_uid)],
            "deliveries": deliveries(connection, study_uid),
        }
    )
