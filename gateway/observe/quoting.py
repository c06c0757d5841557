"""Texts of others in a log line: those that quote values, and characters that a terminal or an editor acts on."""

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

MOST_CHARACTERS: Final = 8_000
"""Of the text of a line; a peer decides how long its names are."""


def on_one_line(text: str) -> str:
    """`text` with what is not printable written as in Python: line ends, escape sequences, characters that turn the
    direction of writing or have no width. Nothing that a peer sends looks like a line of ours, or clears a screen."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}... and {len(text) - MOST_CHARACTERS} characters more"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def on_lines(text: str) -> str:
    """The lines of a traceback below the line that they belong to, each indented."""
    return "".join(f"\n    {on_one_line(line)}" for line in text.splitlines())
