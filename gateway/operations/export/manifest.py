"""What an export says of itself: counts, columns, what was done with each, hashes of the files; no key, no day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.operations.export.columns import written
from gateway.operations.export.treatment import ALWAYS, OPTIONS, PROFILE, Retained

NAME: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of an export. `table`: of `columns.TABLES`."""

    table: str
    name: str
    rows: int
    octets: int
    digest: str


def manifest(files: Mapping[str, ExportedFile], retained: frozenset[Retained], *, form: str, key: str) -> bytes:
    """The manifest as JSON. `key`: a name of the key, by which two exports are known to fit together."""
    methods = [PROFILE, *ALWAYS, *(OPTIONS[one] for one in sorted(retained))]
    return orjson.dumps(
        {
            "format": form,
            "pseudonyms": key,
            "deidentification": [
                {"code": code, "scheme": "DCM", "meaning": meaning} for code, meaning in methods
            ],
            "files": [_file(one, retained) for one in files.values()],
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )  # fmt: skip


def _file(one: ExportedFile, retained: frozenset[Retained]) -> dict[str, Any]:
    columns = [
        {"name": column.name, "type": column.type, "treatment": column.treatment_with(retained)}
        for column in written(one.table, retained)
    ]
    return {
        "table": one.table, "file": one.name, "rows": one.rows, "bytes": one.octets, "sha256": one.digest,
        "columns": columns,
    }  # fmt: skip
