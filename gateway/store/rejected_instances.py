"""Instances that rejection notes of their study take back (IHE RAD IOCM), by study."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from gateway.records.rejection import KEY_OBJECT_SELECTION, not_served
from gateway.records.study import Instance
from gateway.store.schema import instances, series, studies
from gateway.store.study_search import COUNTING

_MODALITY = "KO"
"""Of every series of Key Object Selections (PS3.3 C.17.6.1)."""


def of_studies(connection: Connection, rows: Sequence[int]) -> dict[int, frozenset[str]]:
    """Row of `studies` -> SOP Instance UIDs that are not served, of those studies that have some."""
    wanted = (
        select(series.c.study, instances.c.sop_uid, instances.c.sop_class_uid, instances.c.attributes)
        .join(series, series.c.id == instances.c.series)
        .join(studies, studies.c.id == series.c.study)
        .where(series.c.study.in_(rows), series.c.modality == _MODALITY)
        .where(instances.c.sop_class_uid == KEY_OBJECT_SELECTION, COUNTING)
    )
    notes: dict[int, list[Instance]] = {}
    for study, *instance in connection.execute(wanted):
        notes.setdefault(study, []).append(Instance(*instance))
    named = {study: not_served(held) for study, held in notes.items()}
    return {study: uids for study, uids in named.items() if uids}
