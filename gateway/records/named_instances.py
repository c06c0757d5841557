"""The instances that a performed step names: evidence of what its study should hold (PS3.4 Table F.7.2-1)."""

from __future__ import annotations

from typing import Final

from gateway.records.order import Attributes

_SEQUENCES: Final = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")


def named_instances(attributes: Attributes) -> list[str]:
    """SOP Instance UIDs of all performed series, each once, in the order stated."""
    references = (
        reference.get("ReferencedSOPInstanceUID")
        for series in attributes.get("PerformedSeriesSequence") or ()
        for keyword in _SEQUENCES
        for reference in series.get(keyword) or ()
    )
    return list(dict.fromkeys(str(uid) for uid in references if uid))
