"""The columns of an export as the table of its page: `python -m tests.operations.export.page` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from gateway.operations.export.columns import TABLES


def lines() -> Iterator[str]:
    """A row for each column of each table, those that are left out too."""
    yield "| table | column | from | what is done |"
    yield "|---|---|---|---|"
    for table, columns in TABLES.items():
        for column in columns:
            option = f"; `--retain {column.retained_by}`: kept" if column.retained_by else ""
            yield f"| {table} | `{column.name}` | {column.source} | {column.treatment}{option} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
