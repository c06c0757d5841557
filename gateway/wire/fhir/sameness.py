"""Does a server's resource say what ours says?"""

from __future__ import annotations

from typing import Any, Final

_SERVERS_OWN: Final = frozenset({"id", "meta", "text"})
"""What a server adds to a resource; not part of what we sent."""


def says_the_same(ours: Any, theirs: Any, *, top: bool = True) -> bool:
    """Whether a resource of the server says all of `ours` and nothing else, but for what servers add themselves."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        skipped = _SERVERS_OWN if top else frozenset()
        keys = (set(ours) | set(theirs)) - skipped
        return all(key in ours and key in theirs and says_the_same(ours[key], theirs[key], top=False) for key in keys)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            says_the_same(a, b, top=False) for a, b in zip(ours, theirs, strict=True)
        )
    return bool(ours == theirs)
