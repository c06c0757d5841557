"""Which of the scopes asked for were not granted (SMART App Launch 2, "Scopes and Launch Context")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

SYSTEM: Final = re.compile(r"system/(?P<kind>\*|[A-Za-z]+)\.(?P<may>\*|read|write|c?r?u?d?s?)")
LETTERS: Final = {"*": "cruds", "read": "rs", "write": "cud"}
"""Version 1 of the scopes in letters of version 2: create, read, update, delete, search."""
WHATEVER_IS_SET: Final = "/.default"
"""Entra ID's way to ask for what its administrator has granted; answers name other scopes or none."""


def missing(asked: Iterable[str], granted: Iterable[str]) -> list[str]:
    """The scopes of `asked` that `granted` does not cover; a wider one covers a narrower."""
    held = list(granted)
    allowed = [pair for one in held for pair in _pairs(one)]
    return [one for one in asked if not one.endswith(WHATEVER_IS_SET) and not _covered(one, held, allowed)]


def _covered(asked: str, held: list[str], allowed: list[tuple[str, str]]) -> bool:
    pairs = _pairs(asked)
    if asked in held or not pairs:
        return asked in held
    return all((kind, letter) in allowed or ("*", letter) in allowed for kind, letter in pairs)


def _pairs(scope: str) -> list[tuple[str, str]]:
    """(resource type, letter) of a system scope; [] of any other, and of one that a query narrows."""
    found = SYSTEM.fullmatch(scope)
    return [(found["kind"], letter) for letter in LETTERS.get(found["may"], found["may"])] if found else []
