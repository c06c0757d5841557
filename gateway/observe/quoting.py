"""Texts of others in a log line or on a terminal: those that quote values, and characters that others act on."""

from __future__ import annotations

import re
import unicodedata
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
    """`text` as a line of the log: `printable`, and cut."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}... and {len(text) - MOST_CHARACTERS} characters more"
    return printable(text)


def printable(text: str, escape: Callable[[str], str] = lambda one: one.encode("unicode_escape").decode()) -> str:
    """`text` with what is not printable escaped, as Python writes it: line ends, escape sequences, characters that turn
    the direction of writing or have no width. Nothing that a peer sends looks like a line of ours, or clears a screen.
    """
    if text.isprintable():
        return text
    # Spaces of other scripts, as between the parts of a Japanese name, are no trouble.
    return "".join(one if one.isprintable() or unicodedata.category(one) == "Zs" else escape(one) for one in text)


def on_lines(text: str) -> str:
    """The lines of a traceback below the line that they belong to, each indented."""
    return "".join(f"\n    {on_one_line(line)}" for line in text.splitlines())
