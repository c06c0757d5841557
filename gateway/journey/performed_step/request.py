"""A modality's request about a performed step, whatever protocol the modality speaks."""

from __future__ import annotations

from gateway.records.order import Attributes
from gateway.value_class import value_class


@value_class
class Request:
    """What a modality states of a performed step: it begins, goes on, or ends."""

    modality: str
    """AE title: the calling one of an association, the user of a login over the web."""
    address: str
    sop_uid: str
    """SOP Instance UID of the performed step."""
    attributes: Attributes
    """Those of an N-CREATE or N-SET (PS3.4 Table F.7.2-1), in which a keyword without a value has "" or []."""
    is_long: bool = False
    """To work on all of the attributes is long work (`gateway.long_work`)."""
