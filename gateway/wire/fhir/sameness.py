"""Does a server's resource say what ours says?"""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.wire.fhir.answer import Resource
from gateway.wire.fhir.standing import without_revision

_DATE_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SERVERS_OWN: Final = frozenset({"id", "meta", "text"})
"""What a server adds to a resource; not part of what we sent."""


def says_the_same(ours: Resource, theirs: Resource) -> bool:
    """Whether a resource of the server says all of `ours` and nothing else, but for what servers add themselves and for
    the revision, which tells what brought the contents."""
    one, other = (
        {key: value for key, value in without_revision(resource).items() if key not in _SERVERS_OWN}
        for resource in (ours, theirs)
    )
    return _is_alike(one, other)


def _is_alike(ours: Any, theirs: Any) -> bool:
    if ours == theirs:
        # Of thousands of instances most are equal as they stand.
        return True
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_is_alike(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(_is_alike(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, str) and isinstance(theirs, str):
        return _moment(ours) is not None and _moment(ours) == _moment(theirs)
    return False


def _moment(written: str) -> str | None:
    """A dateTime without zeros at the end of its fraction of a second, which servers leave out or add; None for another
    text."""
    match = _DATE_TIME.fullmatch(written)
    if match is None:
        return None
    seconds, fraction, zone = match.groups()
    digits = (fraction or "").rstrip("0")
    return "".join([seconds, f".{digits}" if digits else "", "+00:00" if zone == "Z" else zone])
