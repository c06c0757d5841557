"""When an instance was made, as the instance itself states."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

from gateway.records.order import Attributes
from gateway.records.performed_times import micros_of, offset_of

_STATED: Final = (
    ("InstanceCreationDate", "InstanceCreationTime"),
    ("ContentDate", "ContentTime"),
    ("AcquisitionDateTime", ""),
    ("AcquisitionDate", "AcquisitionTime"),
)
"""Attributes of date and time; the first that can be read counts."""
MADE_AT_KEYWORDS: Final = frozenset(keyword for pair in _STATED for keyword in pair if keyword)
_DT: Final = re.compile(r"(\d{8})(\d\d[\d.]*)?([+-]\d{4})?", re.ASCII)


def made_at(instance: Attributes, offset: str, zone: tzinfo) -> int | None:
    """Microseconds since 1970 UTC; None where nothing is stated. A date alone is its first moment.

    `offset`: Timezone Offset From UTC (0008,0201) of the instance, '' for `zone`.
    """
    return next(
        (
            moment
            for date, time in _STATED
            if (moment := _moment(str(instance.get(date) or ""), instance.get(time), offset, zone)) is not None
        ),
        None,
    )


def _moment(date: str, time: object, offset: str, zone: tzinfo) -> int | None:
    """Of a DA and a TM, or of a DT, which has time and offset of its own."""
    if (stamp := _DT.fullmatch(date)) is not None and (stamp[2] or stamp[3]):
        date, time, offset = stamp[1], stamp[2], stamp[3] or offset
    return micros_of(date, time or "00", offset_of(offset) or zone)
