"""What a process may do of what a receiver or source allows the whole gateway: connections at once, and a rate.

A limit is shared out in whole connections, the first to process 1. A process that gets none leaves the receiver to the
others: of a destination that takes one connection at a time, process 1 brings all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.assembly.processes.place import ProcessPlace
from gateway.config.tree import Config
from gateway.records.work import Activity, WorkKind

_EHR: Final = (Activity.DELIVER, Activity.LINK, Activity.VERIFY)
_HL7: Final = (Activity.STATUS, Activity.FORWARD)
_IMAGES: Final = (Activity.STORE,)
_SOURCE: Final = (Activity.POLL, Activity.FETCH)
_ON_ONE_ASSOCIATION: Final = (Activity.MPPS, Activity.IAN, Activity.COMMIT)
"""Of these a destination gets one association at a time."""


def config_of(config: Config, place: ProcessPlace) -> Config:
    """`config` with what this process has of each limit; at least one, see `left_to_others`."""
    if place.of == 1:
        return config
    hl7, dicom, studies = config.hl7, config.dicom, config.studies
    return config.model_copy(
        update={
            "ehrs": _shared(config.ehrs, place, "concurrency", "max_requests_per_second"),
            "hl7": hl7.model_copy(update={"destinations": _shared(hl7.destinations, place, "connections")}),
            "dicom": dicom.model_copy(
                update={"destinations": _shared(dicom.destinations, place, "associations", "rate_per_minute")}
            ),
            "studies": studies.model_copy(
                update={
                    "forward_to": _shared(studies.forward_to, place, "concurrency", "rate_per_minute"),
                    "sources": _shared(studies.sources, place, "concurrency"),
                }
            ),
        }
    )


def _shared(receivers: Iterable[Any], place: ProcessPlace, limit: str, rate: str = "") -> list[Any]:
    shared = []
    for one in receivers:
        whole = getattr(one, limit)
        share = max(place.share_of(whole), 1)
        update: dict[str, Any] = {limit: share}
        if rate and getattr(one, rate) is not None:
            update[rate] = getattr(one, rate) * share / whole
        shared.append(one.model_copy(update=update))
    return shared


def left_to_others(config: Config, place: ProcessPlace) -> frozenset[WorkKind]:
    """The kinds of work of which this process has no share. `config`: of the whole gateway."""
    limits: list[tuple[str, int, tuple[Activity, ...]]] = [(one.name, one.concurrency, _EHR) for one in config.ehrs]
    limits += [(one.name, one.connections, _HL7) for one in config.hl7.destinations]
    limits += [(one.name, one.associations, _IMAGES) for one in config.dicom.destinations]
    limits += [(one.name, 1, _ON_ONE_ASSOCIATION) for one in config.dicom.destinations]
    limits += [(one.name, one.concurrency, _IMAGES) for one in config.studies.forward_to]
    limits += [(one.name, one.concurrency, _SOURCE) for one in config.studies.sources]
    of_others = ((name, activities) for name, limit, activities in limits if not place.share_of(limit))
    return frozenset(WorkKind(activity, name) for name, activities in of_others for activity in activities)
