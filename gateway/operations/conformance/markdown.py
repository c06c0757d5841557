"""A conformance statement as a page of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.operations.conformance.sections import Statement, StatementSection

_CODE: Final = re.compile(r"(`[^`]*`)")


def markdown(statement: Statement) -> str:
    """The statement as a page."""
    return "\n".join(line for section in statement.sections for line in _lines(section)).rstrip() + "\n"


def _lines(section: StatementSection) -> Iterator[str]:
    yield f"{'#' * section.depth} {section.number} {section.title}"
    yield ""
    if section.text:
        yield section.text
        yield ""
    for table in section.tables:
        yield f"**{_cell(table.title)}**"
        yield ""
        yield f"| {' | '.join(table.columns)} |"
        yield f"|{'---|' * len(table.columns)}"
        yield from (f"| {' | '.join(map(_cell, row))} |" for row in table.rows)
        yield ""


def _cell(text: str) -> str:
    """One line, in which nothing ends the cell or begins markup; what stands between backticks stays as written."""
    line = " ".join(text.split()).replace("|", "\\|")
    parts = _CODE.split(line)
    return "".join(one if one.startswith("`") else _MARKUP.sub(r"\\\g<0>", one) for one in parts)


_MARKUP: Final = re.compile(r"[*<]|(?<!\\)\[|_(?=\w+_)")
