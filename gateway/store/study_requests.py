"""Accession numbers that series name beside that of their study: by which a study is known to an order that comes
later."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from gateway.records.arrival import InstanceArrival
from gateway.records.identifiers import looked_for
from gateway.records.performed_step import items_of
from gateway.store.schema import study_requests


def note(connection: Connection, arrival: InstanceArrival) -> None:
    """Keep what the series of an instance is stated to answer. Most name nothing but the study's own number."""
    items = items_of(arrival.series.get("RequestAttributesSequence"))
    numbers = {looked_for(str(item.get("AccessionNumber") or "")) for item in items}
    for number in sorted(numbers - {"", str(arrival.study.get("AccessionNumber") or "")}):
        row = {"study_uid": arrival.study_uid, "accession": number}
        known = select(study_requests.c.id).where(
            study_requests.c.study_uid == arrival.study_uid, study_requests.c.accession == number
        )
        if connection.execute(known).first() is None:
            connection.execute(insert(study_requests), row)
