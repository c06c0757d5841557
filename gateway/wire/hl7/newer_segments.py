"""Segments and fields of HL7 2.9 that senders add to messages of older versions, set aside before a structure check.

What stands where HL7 2.9 has it is no fault, whatever MSH-12 says; what stands elsewhere stays, for the check to find.
"""

from __future__ import annotations

from typing import Final

_PARTICIPANTS: Final = frozenset({"PRT", "ARV"})
ALLOWED_AFTER: Final = {
    "MSH": frozenset({"ARV", "UAC"}),
    "PID": _PARTICIPANTS | {"GSP", "GSR", "GSC", "OH1", "OH2", "OH3", "OH4"},
    "PV1": _PARTICIPANTS,
    "SCH": frozenset[str](),
    "RGS": frozenset[str](),
    "ORC": frozenset({"PRT"}),
    "OBR": frozenset({"PRT", "REL"}),
    "OBX": frozenset({"PRT"}),
}
"""A segment that opens a part of a message -> the newer segments that HL7 2.9 has between it and the next of these."""
_FIELDS: Final = {"IPC": 9}
"""Fields that a segment has in the versions before; IPC-10 is newer."""


def without_newer(text: str) -> str:
    """The segments of a message (ended by CR) without what HL7 2.9 has where it stands."""
    separator = text[3:4] or "|"
    kept, allowed = [], ALLOWED_AFTER["MSH"]
    for line in text.split("\r"):
        name = line[:3]
        if name in allowed:
            continue
        allowed = ALLOWED_AFTER.get(name, allowed)
        fields = line.split(separator) if name in _FIELDS else []
        older = fields[: _FIELDS.get(name, 0) + 1]
        kept.append(line if older == fields else separator.join(older).rstrip(separator))
    return "\r".join(kept)
