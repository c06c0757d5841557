"""The mapping language: reading mapping files, laying a site's rows over ours, naming every mistake.

A mapping file is a YAML file of *levels* (`patient:`, `order:`, ...); each level holds *rows*: a target, and where its
value comes from. The language is closed: a row names paths, one code table and functions from a fixed list; there
are no expressions. `docs/mappings.md` is the one page for those who write rows.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from gateway import yaml_bounds
from gateway.mapping.language.rows import CHOICES, OFF, Dialect, MappingFile, Row, Table, row_of

ROW_KEYS: Final = (
    "from",
    "with",
    "as",
    "table",
    "unknown",
    "default",
    "otherwise",
    "required",
    "too_long",
    "note",
)

LISTS: Final = ("from", "with")
"""Keys that take a list of paths or one path; all others take a text."""

_QUICK_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of libyaml, where PyYAML was built with it, takes a tenth of the time."""


def read_tables(folders: Sequence[Path]) -> tuple[dict[str, Table], list[str]]:
    """The code tables of all folders, by name, and every fault found. A table of a later folder adds its lines to the
    table of the same name."""
    faults: list[str] = []
    tables: dict[str, Table] = {}
    for number, folder in enumerate(folders):
        for path in sorted((folder / "tables").glob("*.csv")):
            ours = tables.get(path.stem, Table(path.stem, "", {}))
            codes = _read_table(path, _place(path, folder, number), faults)
            tables[path.stem] = Table(path.stem, str(path), {**ours.codes, **codes})
    return tables, faults


def read(
    name: str, dialect: Dialect, folders: Sequence[Path], tables: Mapping[str, Table]
) -> tuple[MappingFile, list[str]]:
    """Read `name` from the first folder, which must have it, then lay the same file of each later folder over it.

    A row of an overlay replaces the row of the same level and target as a whole and keeps its place; a new target is
    added at the end of its level; `TARGET: off` removes the row. `tables`: the code tables that rows may name. Returns
    the rows that hold and every fault found.
    """
    faults: list[str] = []
    reading = _Reading(dialect, tables, faults)
    for number, folder in enumerate(folders):
        if (folder / name).is_file():
            reading.read_file(folder / name, _place(folder / name, folder, number))
        elif number == 0:
            faults.append(f"{folder / name}: the file is missing")
    return MappingFile(name, {level: tuple(found.values()) for level, found in reading.rows.items()}, tables), faults


def close(word: str, known: Iterable[str]) -> str:
    """What to say after "there is no `word`": the nearest known word, else all of them."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"


def _place(path: Path, folder: Path, number: int) -> str:
    """Our own files by their name, a site's with their folder."""
    name = path.relative_to(folder).as_posix()
    return f"{folder.name}/{name}" if number else name


def _read_table(path: Path, place: str, faults: list[str]) -> dict[str, str]:
    codes: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = list(enumerate(csv.reader(lines, strict=True), start=1))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(f"{place}: cannot be read: {error}")
        return codes
    for number, cells in rows:
        row = [cell.strip() for cell in cells]
        if not any(row) or row[0].startswith("#") or (number == 1 and row == ["code", "value"]):
            continue
        if len(row) != 2 or not row[0]:
            faults.append(f"{place}:{number}: a line has two columns, code,value; put quotes around text with a comma")
            continue
        code = row[0].upper()
        if code in codes:
            faults.append(f"{place}:{number}: {code!r} stands twice")
        codes[code] = row[1]
    return codes


@dataclass(slots=True)
class _Reading:
    """The rows read so far, file over file, and what was wrong with them."""

    dialect: Dialect
    tables: Mapping[str, Table]
    faults: list[str]
    rows: dict[str, dict[str, Row]] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = {level: {} for level in self.dialect.levels}

    def read_file(self, path: Path, place: str) -> None:
        try:
            root = compose(path.read_text(encoding="utf-8"))
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            prefix = "" if isinstance(error, yaml_bounds.BeyondBounds) else "not valid YAML: "
            self.faults.append(f"{place}:{line}: {prefix}{error.problem}")
            return
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            self.faults.append(f"{place}: cannot be read: {error}")
            return
        if root is None:
            return
        levels = self.dialect.levels
        if not isinstance(root, yaml.MappingNode):
            self.faults.append(f"{place}:1: the file must hold levels: {', '.join(levels)}")
            return
        for node, level, rows in self._entries(root, place, ""):
            here = _at(node, place)
            if level not in levels:
                self.faults.append(f"{here}: there is no level {level!r}{close(level, levels)}")
            elif not isinstance(rows, yaml.MappingNode):
                self.faults.append(f"{here}: {level}: must hold rows such as 'TARGET: PATH'")
            else:
                for target_node, target, row in self._entries(rows, place, f"{level}: "):
                    self._read_row(level, target, row, _at(target_node, place), place)

    def _entries(self, node: yaml.MappingNode, place: str, where: str) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
        """(key node, key, value node) of a YAML mapping, without those whose key stands twice."""
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "(not a text)"
            if name in seen:
                self.faults.append(f"{_at(key, place)}: {where}{name} stands twice")
                continue
            seen.add(name)
            yield key, name, value

    def _read_row(self, level: str, target: str, node: yaml.Node, origin: str, place: str) -> None:
        fault = self.dialect.check_target(level, target) or self._misplaced(level, target)
        if fault:
            self.faults.append(f"{origin}: {target}: {fault}")
        elif isinstance(node, yaml.ScalarNode) and node.value.lower() == OFF:
            self._remove(level, target, origin)
        else:
            before = len(self.faults)
            written = self._read_keys(node, target, origin, place)
            if len(self.faults) == before:
                self._add(row_of(level, target, origin, written))

    def _misplaced(self, level: str, target: str) -> str:
        homes = [name for name, rows in self.rows.items() if name != level and target in rows]
        return f"is a row of the level {homes[0]}; write it there" if self.dialect.one_level and homes else ""

    def _remove(self, level: str, target: str, origin: str) -> None:
        if self.dialect.indispensable.get(target) == level:
            self.faults.append(f"{origin}: {target}: cannot be off: the gateway cannot work without it")
        elif self.rows[level].pop(target, None) is None:
            known = close(target, self.rows[level])
            self.faults.append(f"{origin}: {target}: is off, but the level {level} has no such row{known}")

    def _add(self, row: Row) -> None:
        if not (row.sources or row.default or row.otherwise or row.rule):
            lacks = f"It has no {self.dialect.short!r}"
            self.faults.append(f"{row.origin}: {row.target}: where should its value come from? {lacks}")
            return
        wrong = list(self.dialect.check_row(row, self.tables))
        self.faults += [f"{row.origin}: {row.target}: {fault}" for fault in wrong]
        if not wrong:
            self.rows[row.level][row.target] = row

    def _read_keys(self, node: yaml.Node, target: str, origin: str, place: str) -> dict[str, list[str]]:
        """Key -> what it says; a key that takes a text has one item."""
        if not isinstance(node, yaml.MappingNode):
            return {self.dialect.short: self._read_value(node, self.dialect.short, target, origin)}
        written = {}
        for key_node, key, value in self._entries(node, place, f"{target}: "):
            here = _at(key_node, place)
            if key in self.dialect.keys:
                written[key] = self._read_value(value, key, target, here)
            else:
                self.faults.append(f"{here}: {target}: there is no key {key!r}{close(key, self.dialect.keys)}")
        return written

    def _read_value(self, node: yaml.Node, key: str, target: str, here: str) -> list[str]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) and key in LISTS else [node]
        texts = [str(one.value).strip() for one in nodes if isinstance(one, yaml.ScalarNode)]
        if len(texts) != len(nodes):
            wanted = "a path or a list of paths" if key in LISTS else "a text"
            faults = [f"'{key}' must be {wanted}"]
        else:
            faults = [fault for text in texts if (fault := self._check(key, text))]
        self.faults += [f"{here}: {target}: {fault}" for fault in faults]
        return texts

    def _check(self, key: str, text: str) -> str | None:
        if key in LISTS:
            return self.dialect.check_path(text) if text else f"'{key}' names no path"
        if key in CHOICES and text not in CHOICES[key]:
            return f"{key} must be {' or '.join(CHOICES[key])}, not {text!r}"
        kind, known = {
            "as": ("function", self.dialect.functions),
            "table": ("code table", self.tables),
            "otherwise": ("derivation", self.dialect.derivations),
        }.get(key, ("", {text: None}))
        return None if text in known else f"there is no {kind} {text!r}{close(text, known)}"


def compose(text: str) -> yaml.Node | None:
    """The nodes of a YAML text. Raises `yaml.YAMLError`."""
    try:
        yaml_bounds.check(text)
        return yaml.compose(text, Loader=_QUICK_LOADER)
    except yaml_bounds.BeyondBounds:
        raise
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)  # its errors name what stands in the place of the fault


def _at(node: yaml.Node, place: str) -> str:
    return f"{place}:{node.start_mark.line + 1}"
