"""Which SOP classes are storage (PS3.4 Annex B, PS3.6 Annex A)."""

from __future__ import annotations

from typing import Final

from pydicom._uid_dict import UID_dictionary


def _is_storage(name: str, kind: str) -> bool:
    return kind == "SOP Class" and "Storage" in name and "Commitment" not in name and "Directory" not in name


RETIRED: Final = tuple(
    uid for uid, (name, kind, _, retired, _) in UID_dictionary.items() if retired and _is_storage(name, kind)
)
"""Classes that PS3.6 no longer has, and whose images archives still send."""


_NEWER: Final = {
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
}
"""Names of classes that are newer than pydicom's dictionary: PS3.6 2024e and 2025b."""


def name_of(uid: str) -> str:
    """The name of a SOP class in PS3.6; '' for one that is private, or newer than all that we know."""
    return UID_dictionary[uid][0] if uid in UID_dictionary else _NEWER.get(uid, "")


def other_use(uid: str) -> str:
    """The name of what PS3.6 gives a UID to that is no storage class; '' for a storage class and for a UID that
    PS3.6 does not have: private, or of a later edition."""
    name, kind = UID_dictionary.get(uid, ("", ""))[:2]
    return "" if not name or _is_storage(name, kind) else name
