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


def other_use(uid: str) -> str:
    """The name of what PS3.6 gives a UID to that is no storage class; '' for a storage class and for a UID that
    PS3.6 does not have: private, or of a later edition."""
    name, kind = UID_dictionary.get(uid, ("", ""))[:2]
    return "" if not name or _is_storage(name, kind) else name
