"""Rows of studies, series and instances, as the gateway has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any, Final

from sqlalchemy import Connection

from gateway.operations.export.order_rows import coded, local
from gateway.operations.export.subject import Subject, of_studies
from gateway.operations.export.treated import Raw
from gateway.store.export_studies import StudyPage

TABLES: Final = ("studies", "series", "instances")


class StudyRows:
    """Rows of one page. `series`: row of a series -> (UID of the series, UID of its study, patient)."""

    def __init__(self, connection: Connection, page: StudyPage, zone: tzinfo) -> None:
        self._page = page
        self._zone = zone
        self._subjects = of_studies(connection, page.studies)
        uids = {row.id: row.study_uid for row in page.studies}
        self.series: dict[int, tuple[str, str, Subject]] = {
            row.id: (row.series_uid, uids[row.study], self._subjects[row.study])
            for row in page.series
            if row.study in uids
        }

    def raw_rows(self) -> Iterator[tuple[str, Raw]]:
        """(table, row) of studies and series."""
        of_study: dict[int, list[Any]] = {}
        for row in self._page.series:
            of_study.setdefault(row.study, []).append(row)
        done: set[int] = set()
        for row in self._page.studies:
            if row.id not in done:
                done.add(row.id)
                yield "studies", Raw(self._subjects[row.id], self._study(row, of_study.get(row.id, ())))
        for row in self._page.series:
            if row.id in self.series:
                yield "series", self._series(row)

    def instances(self, rows: Iterable[Any]) -> Iterator[tuple[str, Raw]]:
        """(table, row) of instances of these series."""
        for row in rows:
            series_uid, study_uid, subject = self.series[row.series]
            yield (
                "instances",
                Raw(
                    subject,
                    {
                        "sop_uid": row.sop_uid, "series_uid": series_uid, "study_uid": study_uid,
                        "sop_class_uid": row.sop_class_uid, "transfer_syntax_uid": row.transfer_syntax_uid,
                        "number": text_of(row.attributes, "InstanceNumber"),
                    },
                ),
            )  # fmt: skip

    def _study(self, row: Any, all_series: Iterable[Any]) -> dict[str, Any]:
        subject, attributes = self._subjects[row.id], row.attributes
        parts = list(all_series)
        words = subject.words(row.accession, text_of(attributes, "StudyID"), row.patient_id)
        codes = (row.procedure_attributes or {}).get("RequestedProcedureCodeSequence")
        return {
            "study_uid": row.study_uid, "patient": subject.key if subject.is_patient else None,
            "patient_sex": subject.sex() or text_of(attributes, "PatientSex"),
            "patient_age": subject.age(row.first_at), "source": row.source_ae,
            "institution": next(filter(None, (text_of(one.attributes, "InstitutionName") for one in parts)), ""),
            "started": local(text_of(attributes, "StudyDate"), text_of(attributes, "StudyTime"), self._zone),
            "first_instance": row.first_at, "last_instance": row.last_at, "settled": row.settled_at,
            "withdrawn": int(row.withdrawn_at is not None), "series": len(parts),
            "instances": sum(self._page.counts.get(one.id, 0) for one in parts),
            **coded(attributes.get("ProcedureCodeSequence") or codes, words),
        }  # fmt: skip

    def _series(self, row: Any) -> Raw:
        series_uid, study_uid, subject = self.series[row.id]
        attributes = row.attributes
        values = {
            "series_uid": series_uid, "study_uid": study_uid, "modality": text_of(attributes, "Modality"),
            "number": text_of(attributes, "SeriesNumber"), "body_part": text_of(attributes, "BodyPartExamined"),
            "laterality": text_of(attributes, "Laterality"),
            "started": local(text_of(attributes, "SeriesDate"), text_of(attributes, "SeriesTime"), self._zone),
            "instances": self._page.counts.get(row.id, 0), "manufacturer": text_of(attributes, "Manufacturer"),
            "model": text_of(attributes, "ManufacturerModelName"), "station_name": text_of(attributes, "StationName"),
        }  # fmt: skip
        return Raw(subject, values)


def text_of(attributes: Mapping[str, Any], keyword: str) -> str:
    """The first value of an attribute as text; '' for none, and for a sequence."""
    value = attributes.get(keyword)
    if isinstance(value, list):
        value = value[0] if value else None
    return "" if value is None or isinstance(value, dict) else str(value)
