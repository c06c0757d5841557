"""`scanners.yaml`: what single scanners need, by the AE title they call with."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydicom.charset import python_encoding
from pydicom.datadict import tag_for_keyword

from gateway.errors import GatewayError
from gateway.mapping.language.files import close, compose
from gateway.mapping.language.literals import literal_of
from gateway.mapping.language.rows import OFF
from gateway.mapping.orders.dialect import OWN
from gateway.worklist.answering import STEPS
from gateway.worklist.encoding import encodes
from gateway.worklist.items import Attributes
from gateway.worklist.scanner_rules import Form, ScannerRule

SCANNERS: Final = "scanners.yaml"
FORMER_NAME: Final = "stations.yaml"
"""What the file was called before; an overlay may still call it so."""
log = logging.getLogger(__name__)
_Title = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x21-\x7e]+( [\x21-\x7e]+)*$")]
_Days = Annotated[int, Field(ge=0, le=3650)]
_SIMPLE: Final = ("string_type", "list_type", "int_type", "int_parsing", "literal_error")


class _Row(BaseModel):
    """One scanner's row, as written; `docs/mappings.md` explains each key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    stations: list[_Title] = []
    modalities: list[Annotated[str, Field(pattern=r"^[A-Z0-9_ ]{1,16}$")]] = []
    days_before: _Days | None = None
    days_after: _Days | None = None
    max_matches: Annotated[int, Field(ge=1)] | None = None
    character_sets: list[str] = []
    unencodable: Literal["utf8", "transliterate"] = "utf8"
    names: Literal["all", "alphabetic", "plain"] = "all"
    never: list[str] = []
    always: dict[str, str] = {}
    note: str = ""


def read(folders: Iterable[Path]) -> tuple[tuple[ScannerRule, ...], list[str]]:
    """The rules, a site's before ours, and every fault found. A row of a later folder replaces that of the same AE
    title; `off` removes it. Raises nothing."""
    rows: dict[str, ScannerRule] = {}
    faults: list[str] = []
    for number, folder in enumerate(folders):
        path = _file_of(folder, faults)
        if path.is_file():
            own_rows = dict(_rows(path, f"{folder.name}/{path.name}" if number else path.name, faults))
            rows = {**own_rows, **{key: row for key, row in rows.items() if key not in own_rows}}
    return tuple(row for row in rows.values() if row is not None), faults


def _file_of(folder: Path, faults: list[str]) -> Path:
    path, former = folder / SCANNERS, folder / FORMER_NAME
    if not former.is_file():
        return path
    if path.is_file():
        faults.append(f"{folder.name}/{FORMER_NAME}: was renamed to {SCANNERS}, which is there too; remove one of them")
        return path
    log.warning("%s/%s is called %s now; rename the file", folder.name, FORMER_NAME, SCANNERS)
    return former


def _rows(path: Path, place: str, faults: list[str]) -> Iterator[tuple[str, Any]]:
    try:
        root = compose(path.read_text(encoding="utf-8"))
        loaded = yaml.constructor.SafeConstructor().construct_document(root) if root else None
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, or the 31st of February
        mark = getattr(error, "problem_mark", None)
        faults.append(f"{place}{f':{mark.line + 1}' if mark else ''}: cannot be read: {error}".splitlines()[0])
        return
    if root is None or not loaded:
        return
    if not isinstance(root, yaml.MappingNode):
        faults.append(f"{place}:1: rows are AE titles, each with keys below it")
        return
    seen: set[str] = set()
    for key, node in root.value:
        title, line = str(key.value), key.start_mark.line + 1
        if title in seen:
            faults.append(f"{place}:{line}: {title} stands twice")
        seen.add(title)
        if node.value in (OFF, "false"):
            yield title, None
            continue
        rule = _read_rule(title, loaded.get(title) or {}, f"{place}:{line}", faults)
        if rule is not None:
            yield title, rule


def _read_rule(title: str, written: Any, place: str, faults: list[str]) -> ScannerRule | None:
    try:
        row = _Row.model_validate(written)
    except ValidationError as error:
        faults += [f"{place}: {title}: {_text_of(fault)}" for fault in error.errors()]
        return None
    wrong = list(_wrong(row))
    faults += [f"{place}: {title}: {fault}" for fault in wrong]
    return None if wrong else _rule(title, row)


def _text_of(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{where}: no such key{close(str(error['loc'][-1]), list(_Row.model_fields))}"
    given = f" (it is {error['input']!r})" if error["type"] in _SIMPLE else ""
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}{given}"


def _wrong(row: _Row) -> Iterator[str]:
    for keyword in (*row.never, *row.always):
        if tag_for_keyword(keyword.rpartition(".")[2]) is None:
            yield f"{keyword}: no DICOM keyword"
        elif keyword.count(".") > 1 or ("." in keyword and not keyword.startswith(f"{STEPS}.")):
            yield f"{keyword}: an attribute of the item, or one of {STEPS}"
        elif keyword in row.always:
            yield from _wrong_value(row, keyword)
    for sets in row.character_sets:
        for term in sets.split("\\"):
            if term and term not in python_encoding:
                yield f"character_sets: {term!r} is no Defined Term of PS3.3 C.12.1.1.2{close(term, python_encoding)}"
    if row.unencodable == "transliterate" and not row.character_sets:
        yield "unencodable: transliterate needs character_sets"


def _wrong_value(row: _Row, keyword: str) -> Iterator[str]:
    name = keyword.rpartition(".")[2]
    if name in OWN:
        yield f"always: {keyword}: is set by the gateway itself"
        return
    try:
        values = literal_of(name, row.always[keyword])
    except GatewayError as error:
        yield f"always: {keyword}: {error.message}"
        return
    characters = frozenset("".join(values))
    sets = [tuple(one.split("\\")) for one in row.character_sets]
    if row.unencodable == "transliterate" and sets and not any(encodes(one, characters) for one in sets):
        yield f"always: {keyword}: none of character_sets can write {row.always[keyword]!r}"


def _rule(title: str, row: _Row) -> ScannerRule:
    form = Form(
        character_sets=tuple(tuple(one.split("\\")) for one in row.character_sets),
        transliterates=row.unencodable == "transliterate",
        names=row.names,
        never=frozenset(int(tag_for_keyword(one.rpartition(".")[2]) or 0) for one in row.never),
        always=_always(row.always),
    )
    return ScannerRule(
        pattern=title,
        stations=tuple(row.stations),
        modalities=tuple(row.modalities),
        days_before=row.days_before,
        days_after=row.days_after,
        max_matches=row.max_matches,
        form=form,
    )


def _always(given: Mapping[str, str]) -> Attributes:
    of_item: dict[str, Any] = {}
    of_step: dict[str, Any] = {}
    for keyword, written in given.items():
        above, _, name = keyword.rpartition(".")
        (of_step if above else of_item)[name] = literal_of(name, written)
    return of_item | ({STEPS: [of_step]} if of_step else {})
