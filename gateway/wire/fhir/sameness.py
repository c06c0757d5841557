"""Does a server's resource say what ours says?"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from gateway.wire.fhir.answer import Resource
from gateway.wire.fhir.standing import without_revision

_DATE_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SERVERS_OWN: Final = frozenset({"id", "meta", "text"})
"""What a server adds to a resource; not part of what we sent."""


def says_the_same(ours: Resource, theirs: Resource) -> bool:
    """Whether a resource of the server says all of `ours` and nothing else, but for what servers add themselves and for
    the revision, which tells what brought the contents."""
    return _is_alike(_compared(ours), _compared(theirs))


def differing(ours: Resource, theirs: Resource) -> list[str]:
    """The elements of which the server's resource says something else than ours, as `says_the_same` compares; in
    whatever order lists are, and whatever a reference that has an identifier was resolved to."""
    one, other = (_in_order(_compared(resource)) for resource in (ours, theirs))
    return sorted(key for key in one.keys() | other.keys() if not _is_alike(one.get(key), other.get(key)))


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        resolved = "reference" in value and "identifier" in value
        return {key: _in_order(one) for key, one in value.items() if not (resolved and key == "reference")}
    if isinstance(value, list):
        return sorted(map(_in_order, value), key=lambda one: orjson.dumps(one, option=orjson.OPT_SORT_KEYS))
    return value


def _compared(resource: Resource) -> Resource:
    return {key: value for key, value in without_revision(resource).items() if key not in _SERVERS_OWN}


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
