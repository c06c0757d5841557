"""What a row of a mapping file does with the values that it reads, in words for a statement."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping.language.rows import Row


def how_of(row: Row) -> str:
    """Function, code table, default and what else the row names; – for a value that is taken as it is."""
    return "; ".join(_parts(row)) or "–"


def _parts(row: Row) -> Iterator[str]:
    if row.required:
        yield "required"
    if row.companions:
        yield f"with {', '.join(row.companions)}"
    if row.function:
        yield f"as `{row.function}`"
    if row.table:
        yield f"by the table `{row.table}`" + ("" if row.unknown == "reject" else f" (unknown codes: {row.unknown})")
    if row.default:
        yield f"default `{row.default}`"
    if row.otherwise:
        yield f"otherwise derived: `{row.otherwise}`"
    if row.too_long == "cut":
        yield "cut where it is too long"
    if row.note:
        yield row.note
