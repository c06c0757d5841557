"""What instances give together that arrived: a study as the store comes to keep it, without a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.records.agreement import AgreementRules, Stating, of_levels, together
from gateway.records.arrival import InstanceArrival
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.rejection import counting, number_rejected
from gateway.records.study import Instance, Series, Study, in_order, series_place


@dataclass(frozen=True, slots=True)
class ArrivedStudy:
    """A study, and by level what each of its instances that count states: of the study, of each series by its UID."""

    study: Study
    of_study: Sequence[Stating]
    of_series: Mapping[str, Sequence[Stating]]


def arrived_study(uid: StudyInstanceUID, arrivals: Iterable[InstanceArrival], rules: AgreementRules) -> ArrivedStudy:
    """The study of these instances, in whatever order they came; an instance that came again counts as it came last."""
    members = {(one.series_uid, one.sop_uid): one for one in arrivals}.values()
    bare = tuple(
        Series(series_uid, {}, in_order(_instance(one) for one in members if one.series_uid == series_uid))
        for series_uid in dict.fromkeys(one.series_uid for one in members)
    )
    left = {one.uid for series in counting(bare) for one in series.instances}
    stating = [(one.series_uid, of_levels(one.sop_uid, one.levels, rules)) for one in members if one.sop_uid in left]
    of_study = [levels["study"] for _, levels in stating]
    of_series = {one.uid: [levels["series"] for each, levels in stating if each == one.uid] for one in bare}
    all_series = [Series(one.uid, together(of_series[one.uid], rules.series).attributes, one.instances) for one in bare]
    study = Study(
        uid,
        together(of_study, rules.study).attributes,
        tuple(sorted(all_series, key=lambda one: series_place(one.uid, one.attributes))),
        findings=tuple(_finding(fault, one) for one in members for fault in one.findings),
        rejected=number_rejected(bare),
    )
    return ArrivedStudy(study, of_study, of_series)


def _instance(arrival: InstanceArrival) -> Instance:
    return Instance(arrival.sop_uid, arrival.sop_class_uid, arrival.instance)


def _finding(finding: Finding, arrival: InstanceArrival) -> Finding:
    return Finding(finding.place, f"{finding.text} (instance {arrival.sop_uid})")
