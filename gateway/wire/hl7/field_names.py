"""The names of fields as the standard gives them: from the tables of hl7apy, by version.

Loading a version takes up to half a second and some 10 MiB: not in the event loop.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
"""That hl7apy knows."""
OTHERWISE: Final = "2.5.1"
NEWEST: Final = "2.8.2"
_NAME: Final = 3
"""Where an entry of hl7apy's table has its name."""


def field_names(version: str) -> Mapping[str, str]:
    """`PID-3` -> `Patient identifier list`, of an MSH-12; of one that hl7apy does not know, of another version."""
    number = version.partition("^")[0].strip()
    return _names(number if number in VERSIONS else NEWEST if number > NEWEST else OTHERWISE)


@lru_cache(maxsize=4)
def _names(version: str) -> Mapping[str, str]:
    module: Any = importlib.import_module(f"hl7apy.v{version.replace('.', '_')}")
    return {key.replace("_", "-"): _words(entry[_NAME]) for key, entry in module.FIELDS.items() if entry[_NAME]}


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
