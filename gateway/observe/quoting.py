"""Loggers of the standard library whose texts quote values, and what remains of a text without them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final


def _of_warning(message: str) -> str:
    """`file:line: Category` of what `warnings.formatwarning` gives; what follows quotes the value."""
    match = re.match(r"[^\n]*?:\d+: \w+(?=:)", message)
    return match[0] if match else "a warning"


def _of_asyncio(message: str) -> str:
    """What asyncio complains of. It goes on with the task, its result or the bytes that a callback was called with."""
    return re.split(r"[(<\n]", message, maxsplit=1)[0].strip()


WITHOUT_VALUES: Final[dict[str, Callable[[str], str]]] = {"py.warnings": _of_warning, "asyncio": _of_asyncio}
"""Name of the logger -> a text of the logger without the values in it."""
