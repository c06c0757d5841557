"""What `agreement.yaml` may say, what is refused in it before any study comes, and the rules that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from typing import Final

from pydicom.datadict import dictionary_VM

from gateway.mapping.attributes import BINARY
from gateway.mapping.language.rows import Dialect, MappingFile, Row, Table
from gateway.mapping.language.values import vr_of
from gateway.mapping.studies.dialect import read_attributes
from gateway.mapping.studies.functions import FUNCTIONS
from gateway.records.agreement import AgreementRule, AgreementRules, Rule
from gateway.records.study_search import KEPT, SearchLevel

LEVELS: Final = ("study", "series")
KEYS: Final = ("rule", "with", "note")


def _check_attribute(keyword: str) -> str | None:
    if not vr_of(keyword):
        return f"{keyword!r} is not a DICOM attribute; write its keyword, such as OperatorsName"
    if BINARY.intersection(vr_of(keyword).split(" or ")):
        return f"{keyword!r} is binary and not kept"
    return None


def _check_target(_level: str, target: str) -> str | None:
    return _check_attribute(target)


def _check_row(row: Row, _tables: Mapping[str, Table]) -> Iterator[str]:
    if row.target in row.companions or len(set(row.companions)) < len(row.companions):
        yield "'with' names an attribute twice"
    if row.rule == Rule.LIST and vr_of(row.target) != "SQ" and dictionary_VM(row.target) == "1":
        yield f"'list' gives several values, and the attribute has one; use {_OTHERS}"


_OTHERS: Final = " or ".join(rule for rule in Rule if rule is not Rule.LIST)

AGREEMENT_DIALECT: Final = Dialect(
    name="agreement",
    levels=LEVELS,
    keys=KEYS,
    functions={},
    derivations={},
    indispensable={},
    one_level=False,
    check_path=_check_attribute,
    check_target=_check_target,
    check_row=_check_row,
    short="rule",
)


def faults_of(agreement: MappingFile, studies: MappingFile) -> Iterator[str]:
    """What is wrong with rules beside one another, and beside the rows that read their attributes."""
    kept = {level: read_attributes(studies, level) | KEPT[SearchLevel(level)] for level in LEVELS}
    for level, rows in agreement.rows.items():
        named: dict[str, Row] = {}
        for row in rows:
            for keyword in (row.target, *row.companions):
                if (other := named.setdefault(keyword, row)) is not row:
                    yield f"{row.origin}: {keyword}: counts with {other.target} ({other.origin}); change the rule there"
            yield from _misplaced(row, level, kept)
            if row.rule == Rule.LIST and (takers := list(_takers(row.target, level, studies))):
                yield (
                    f"{row.origin}: {row.target}: 'list' gives several values, and {' and '.join(takers)} "
                    f"of {studies.name} takes one; use {_OTHERS}"
                )


def _misplaced(row: Row, level: str, kept: Mapping[str, frozenset[str]]) -> Iterator[str]:
    [other] = [one for one in LEVELS if one != level]
    if row.target in kept[other] - kept[level]:
        yield f"{row.origin}: {row.target}: is read of the {other}, not of the {level}; write it there"


def _takers(keyword: str, level: str, studies: MappingFile) -> Iterator[str]:
    """The rows that read an attribute, where none of them takes several values."""
    rows = [row for row in studies.rows[level] if keyword in (*row.sources, *row.companions)]
    if not any(FUNCTIONS[row.function or "text"].takes_several for row in rows):
        yield from (row.target for row in rows)


def rules_of(agreement: MappingFile, zone: tzinfo | None) -> AgreementRules:
    """The rules of a file without faults; `zone`: of times without an offset, None for UTC."""
    return AgreementRules(dict(_rules(agreement.rows["study"])), dict(_rules(agreement.rows["series"])), zone or UTC)


def _rules(rows: tuple[Row, ...]) -> Iterator[tuple[str, AgreementRule]]:
    for row in rows:
        rule = AgreementRule(Rule(row.rule), (row.target, *row.companions), row.origin)
        if rule.rule is not Rule.FIRST or row.companions:
            yield from dict.fromkeys(rule.keywords, rule).items()
