"""The metrics of several processes on one page.

What a process counts has its number as the label `process`, so that a process which is started again is a counter that
begins anew, and no sum goes back. What is read from the database, or of the spool, stands once, as who was asked has
read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.observe import metrics

_OF_ALL: Final = (
    metrics.OUTBOX, metrics.STUDIES_BY_ORDER, metrics.PARTS, metrics.DATABASE_UP, metrics.SILENT_STEPS,
    metrics.SPOOL_FILES, metrics.SPOOL_BYTES, metrics.PROCESS_ANSWERED,
)  # fmt: skip
_NAMES_OF_ALL: Final = frozenset(family.name for one in _OF_ALL for family in one.collect())


class _Families:
    """What `generate_latest` writes."""

    def __init__(self, families: Mapping[str, Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families.values())


def together(pages: Mapping[int, bytes], asked: int) -> bytes:
    """The pages of processes, by their numbers, as one (Prometheus text format 0.0.4). `asked`: who renders it."""
    families: dict[str, Metric] = {}
    for number in sorted(pages):
        for one in text_string_to_metric_families(pages[number].decode()):
            is_of_all = one.name in _NAMES_OF_ALL
            if is_of_all and number != asked:
                continue
            kept = families.setdefault(one.name, Metric(one.name, one.documentation, one.type))
            kept.samples += one.samples if is_of_all else [_labelled(sample, number) for sample in one.samples]
    # Only `collect` is asked of it.
    return generate_latest(_Families(families))


def _labelled(sample: Sample, number: int) -> Sample:
    return sample._replace(labels={**sample.labels, "process": str(number)})
