"""The place in a message that a path of a mapping looks at."""

from __future__ import annotations

import re
from typing import Final

from gateway.errors import Place

_PLACE: Final = re.compile(
    r"(?:PATIENT/)?(?P<segment>[A-Z][A-Z0-9]{2})\*?"
    r"(?:-(?P<field>\d+)\*?(?:\.(?P<component>\d+)(?:-\d+)?(?:\.(?P<subcomponent>\d+))?)?)?"
)


def place_of(path: str) -> Place | str:
    """The place in a message that a path looks at; the path itself where the path looks at a setting."""
    match = _PLACE.fullmatch(path)
    if match is None:
        return path
    field_, component, subcomponent = (int(match[name] or 0) for name in ("field", "component", "subcomponent"))
    return Place(match["segment"], field_, component, subcomponent, path=path)
