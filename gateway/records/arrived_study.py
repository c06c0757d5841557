"""What instances give together that arrived: a study as the store comes to keep it, without a database."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.records.agreement import together
from gateway.records.arrival import InstanceArrival
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.rejection import counting, number_rejected
from gateway.records.study import Instance, Series, Study, in_order, series_place


def arrived_study(uid: StudyInstanceUID, arrivals: Iterable[InstanceArrival]) -> Study:
    """The study of these instances, in whatever order they came; an instance that came again counts as it came last."""
    members = {(one.series_uid, one.sop_uid): one for one in arrivals}.values()
    bare = tuple(
        Series(series_uid, {}, in_order(_instance(one) for one in members if one.series_uid == series_uid))
        for series_uid in dict.fromkeys(one.series_uid for one in members)
    )
    left = {one.uid for series in counting(bare) for one in series.instances}
    stating = [one for one in members if one.sop_uid in left]
    of_series = {
        one.uid: together((each.sop_uid, each.series) for each in stating if each.series_uid == one.uid)[0]
        for one in bare
    }
    all_series = [Series(one.uid, of_series[one.uid], one.instances) for one in bare]
    return Study(
        uid,
        together((one.sop_uid, one.study) for one in stating)[0],
        tuple(sorted(all_series, key=lambda one: series_place(one.uid, one.attributes))),
        findings=tuple(_finding(fault, one) for one in members for fault in one.findings),
        rejected=number_rejected(bare),
    )


def _instance(arrival: InstanceArrival) -> Instance:
    return Instance(arrival.sop_uid, arrival.sop_class_uid, arrival.instance)


def _finding(finding: Finding, arrival: InstanceArrival) -> Finding:
    return Finding(finding.place, f"{finding.text} (instance {arrival.sop_uid})")
