"""What a site's code tables must hold for FHIR, checked when the files are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from gateway.mapping.language.rows import Row, Table

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", re.ASCII)
_CODE: Final = re.compile(r"\S+( \S+)*")
_CODE_AND_MEANING: Final = re.compile(r"[^\s|]+( [^\s|]+)*(\|\S.*)?")

VALUES: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "body_site": (_CODE_AND_MEANING, "a code of SNOMED CT with its meaning, such as 69536005|Head"),
    "dicom_code": (_CODE, "a code"),
    "frames_extension": (_URI, "the address of an extension"),
}
"""Function -> the form of what its table gives; an empty value gives nothing and is always right."""


def table_faults(row: Row, function: str, tables: Mapping[str, Table]) -> Iterator[str]:
    """What the table of a row gives and the function cannot write."""
    if not row.table or function not in VALUES:
        return
    form, wanted = VALUES[function]
    for code, meant in tables[row.table].codes.items():
        if meant and not form.fullmatch(meant):
            yield f"the table {row.table!r} gives {meant!r} for {code!r}, which is not {wanted}"


def scheme_faults(table: Table) -> Iterator[str]:
    """Coding schemes whose Coding.system would be no URI."""
    for scheme, system in table.codes.items():
        if system and not _URI.fullmatch(system):
            yield f"the table {table.name!r} gives {system!r} for {scheme!r}, which is no URI such as http://loinc.org"
