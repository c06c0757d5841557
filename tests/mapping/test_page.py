"""`docs/mappings.md` is true: its tables are those of the code, its examples are run."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import mapping
from gateway.cli.commands import cli
from gateway.errors import ConfigError
from gateway.mapping.corrections.dialect import CORRECTION_DIALECT
from gateway.mapping.corrections.scope import SCOPES, split
from gateway.mapping.identifiers import DERIVATIONS
from gateway.mapping.language.files import ROW_KEYS
from gateway.mapping.language.functions import Registry
from gateway.mapping.orders import functions as hl7_functions
from gateway.mapping.orders.dialect import INDISPENSABLE, ORDER_DIALECT
from gateway.mapping.orders.paths import SETTINGS, check
from gateway.mapping.status import functions as status_functions
from gateway.mapping.status.dialect import STATUS_DIALECT
from gateway.mapping.status.scope import FACTS, NUMBERS
from gateway.mapping.studies import functions as fhir_functions
from gateway.mapping.studies.agreement import AGREEMENT_DIALECT
from gateway.mapping.studies.dialect import COMPUTED, STUDY_DIALECT
from gateway.records.agreement import Rule
from tests.mapping.samples import FHIR, SITE, site

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "mappings.md").read_text(encoding="utf-8")
TABLE_ROW = re.compile(r"^\| (.+?) \| (.+) \|$", re.MULTILINE)


def between(start: str, end: str) -> str:
    begin = PAGE.index(start)
    return PAGE[begin : PAGE.index(end, begin + len(start))]


def block(after: str) -> str:
    """The first indented block after a text."""
    found = re.search(r"\n\n((?: {4}.*\n|\n(?= {4}))+)", PAGE[PAGE.index(after) :])
    assert found is not None, after
    return textwrap.dedent(found[1])


def names(section: str) -> list[str]:
    return [name for first, _ in TABLE_ROW.findall(section) for name in re.findall(r"`([^`]+)`", first)]


def described(registry: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    return {
        f"`{name}`": " ".join((function.__doc__ or "").split()).replace("|", r"\|")
        for name, function in registry.items()
    }


def documented(registry: Registry) -> dict[str, Callable[..., Any]]:
    return {name: entry.function for name, entry in registry.items()}


@pytest.mark.parametrize(
    ("start", "end", "registry"),
    [
        ("## Functions", "For `otherwise`:", documented(hl7_functions.FUNCTIONS)),
        ("For `otherwise`:", "For studies:", DERIVATIONS),
        ("For studies:", "An item of a sequence", documented(fhir_functions.FUNCTIONS)),
        ("`status.number` |", "## Corrections", documented(status_functions.FUNCTIONS)),
    ],
)
def test_the_tables_of_functions_are_those_of_the_code(
    start: str, end: str, registry: Mapping[str, Callable[..., Any]]
) -> None:
    rows = {name: text for name, text in TABLE_ROW.findall(between(start, end)) if name.startswith("`")}
    assert rows == described(registry)


def test_every_key_is_explained() -> None:
    section = between("## How a row reads", "## Paths")
    assert sorted(names(section)) == sorted(ROW_KEYS)
    for key in ROW_KEYS:
        (row,) = [text for name, text in TABLE_ROW.findall(section) if name == f"`{key}`"]
        assert ("*orders only:*" in row) == (key not in STUDY_DIALECT.keys)
        assert ("*studies only:*" in row) == (key not in ORDER_DIALECT.keys)


def test_every_example_of_a_key_is_accepted(tmp_path: Path) -> None:
    examples = re.findall(r"\| `([a-z_]+: [^`]+)` \|$", between("## How a row reads", "## Paths"), re.MULTILINE)
    assert len(examples) == len(ROW_KEYS)
    rows = {
        "order": {
            "AccessionNumber": ["from: [IPC", "otherwise"],
            "RequestingPhysician": ["as"],
            "RequestingService": ["too_long"],
            "InstitutionName": ["required"],
        },
        "visit": {"AdmissionID": ["note"]},
        "step": {"Modality": ["table", "unknown", "default"]},
    }
    used, text = set(), ""
    for level, targets in rows.items():
        text += f"{level}:\n"
        for target, starts in targets.items():
            keys = [example for example in examples if example.startswith(tuple(starts))]
            used.update(keys)
            path = "" if any(key.startswith("from") for key in keys) else "from: OBR-24.1, "
            text += f"  {target}: {{{path}{', '.join(keys)}}}\n"
    (with_,) = set(examples) - used
    study = f"study:\n  started: {{from: StudyDate, as: date_time, {with_}}}\n"
    mapping.load(SITE, FHIR, site(tmp_path, {"order_to_worklist.yaml": text, "study_to_imagingstudy.yaml": study}))


def test_every_path_is_one() -> None:
    shown = names(between("## Paths", "## Levels"))
    assert set(SETTINGS) | COMPUTED <= set(shown)
    for path in shown:
        assert check(path) is None or STUDY_DIALECT.check_path(path) is None, path


def test_every_path_and_indispensable_field_of_a_status_is_one() -> None:
    paths, targets = between("## Statuses", "| function |").split("are of SIU", 1)[1], STATUS_DIALECT.indispensable
    shown = [name for name in names(paths) if name.startswith(("status.", "order.", "performed.", "ORC", "PID", "IPC"))]
    assert set(FACTS) | set(NUMBERS) <= set(shown)
    assert [path for path in shown if STATUS_DIALECT.check_path(path) is not None] == []
    assert all(f"`{target}`" in PAGE for target in targets)


def test_every_path_of_a_correction_is_one() -> None:
    section = between("## Corrections", "## Scanners")
    shown = names(section[section.index("| path |") :])
    assert {scope for path in shown if (scope := split(path)[0])} == set(SCOPES)
    assert [path for path in shown if CORRECTION_DIALECT.check_path(path) is not None] == []
    assert all(f"`{key}`" in section for key in CORRECTION_DIALECT.keys)


def test_every_rule_of_agreement_is_explained(tmp_path: Path) -> None:
    section = between("## Agreement", "## What an overlay changes")
    assert names(section) == [*AGREEMENT_DIALECT.keys, *Rule]
    taking = sorted(name for name, entry in fhir_functions.FUNCTIONS.items() if entry.takes_several)
    assert re.findall(r"`(\w+)`", section[section.index("all of them (") :].split(")")[0]) == taking
    shown = block("the row's value is the rule.")
    loaded = mapping.load(SITE, FHIR, site(tmp_path, {"agreement.yaml": shown}))
    assert loaded.studies.rules.study["StudyDescription"].rule is Rule.NEWEST


def test_levels_and_indispensable_rows_are_named() -> None:
    for dialect in (ORDER_DIALECT, STUDY_DIALECT, CORRECTION_DIALECT, AGREEMENT_DIALECT):
        assert ", ".join(f"`{level}`" for level in dialect.levels) in PAGE
    removable = between("can be changed", "removed") and between("row that\nnames it.", "can be changed")
    assert all(target in removable for target in INDISPENSABLE)


def configured(folder: Path, files: Mapping[str, str]) -> Path:
    """A configuration with an overlay of these files."""
    overlay = site(folder, files)
    config = folder / "gateway.yaml"
    config.write_text(f"mappings: {{overlay: {overlay}}}\nsite: {{timezone: Europe/Berlin}}\n")
    return config


def test_the_worked_example_gives_what_the_page_shows(tmp_path: Path) -> None:
    tables = ("tables/procedure_modality.csv", "tables/procedure_station.csv")
    files = {name: block(f"`mappings.d/{name}`:") for name in ("order_to_worklist.yaml", *tables)}
    config = configured(tmp_path, files)
    order = tmp_path / "order.hl7"
    order.write_bytes(block("each modality has one scanner:").replace("\n", "\r").encode())
    done = CliRunner().invoke(cli, ["explain", str(order), "-c", str(config)])
    assert done.exit_code == 0, done.output
    shown = [line.split() for line in block("here the rows of the overlay:").splitlines()]
    assert [line.split() for line in done.output.splitlines() if "mappings.d/" in line] == shown
    assert len(shown) == 5


def test_check_says_what_the_page_shows(tmp_path: Path) -> None:
    files = {"order_to_worklist.yaml": block("This\n`mappings.d/order_to_worklist.yaml`")}
    done = CliRunner().invoke(cli, ["check", "--offline", "-c", str(configured(tmp_path, files))])
    assert done.exit_code == 1
    shown = block("\ngives\n").splitlines()
    assert [line for line in done.output.splitlines() if line.startswith("FAULT")] == shown
    with pytest.raises(ConfigError) as raised:
        mapping.load(SITE, FHIR, tmp_path / "mappings.d")
    assert [f"FAULT  mappings: {fault}" for fault in raised.value.faults] == shown


def test_the_rows_of_the_decision_are_accepted(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "decisions" / "0001-mapping-language.md").read_text(encoding="utf-8")
    found = re.search(r"### Chosen: YAML rows\n\n((?: {4}.*\n)+)", text)
    assert found is not None
    rows = textwrap.dedent(found[1])
    assert rows.count("{from:") == 10
    mapping.load(SITE, FHIR, site(tmp_path, {"order_to_worklist.yaml": rows}))
