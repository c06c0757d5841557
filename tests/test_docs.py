"""What the documents say, held against the program: stations, links, commands, keys, tests that they name."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup

from gateway.cli.commands import cli
from gateway.config.tree import Config, load
from gateway.journey import STATIONS
from gateway.observe import metrics
from gateway.store import migrations
from gateway.web.server import ROUTES

ROOT = Path(__file__).parents[1]
README, ARCHITECTURE, OPERATIONS = ROOT / "README.md", ROOT / "docs/architecture.md", ROOT / "docs/operations.md"
DOCUMENTS = sorted(
    path
    for folder in ("", "docs/**/", "docker/**/", "mappings/**/", "bench/**/", "gateway/**/")
    for path in ROOT.glob(f"{folder}*.md")
)
PLACES = frozenset(
    {"api", "data", "dicomweb", "etc", "fhir", "health", "metrics", "opt", "run", "studies", "usr", "var"}
)
"""First folders that a path of the documents may have: of a site's machine, or of a URL."""
HOSTS = re.compile(
    r"127\.0\.0\.1|localhost|HOST|\.\.\.|([a-z]+\.)*(example\.org|hl7\.org|nema\.org|snomed\.info|loinc\.org)",
    re.IGNORECASE,
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = typing.cast(TyperGroup, typer.main.get_command(cli))

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(path: Path) -> str:
    return FENCE.sub("", read(path))


def blocks(path: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(read(path)) if kind == language]


def said(path: Path) -> Iterator[str]:
    """Every command line that a document shows, in blocks and in the text."""
    for block in blocks(path, "sh"):
        yield from (re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", prose(path))


def test_the_stations_stand_in_the_order_of_the_journey() -> None:
    listed = re.findall(r"^- \[(\w+)\]\(gateway/journey/(\w+)/\)", read(README), re.MULTILINE)
    assert tuple(name for name, _ in listed) == tuple(module for _, module in listed) == STATIONS
    architecture = read(ARCHITECTURE)
    headings = re.findall(r"^### `(\w+)`$", architecture, re.MULTILINE)
    assert tuple(headings) == STATIONS
    assert tuple(re.findall(r"^\| `(\w+)` \|.*\|.*\|$", architecture, re.MULTILINE)[: len(STATIONS)]) == STATIONS


def anchors(path: Path) -> set[str]:
    """The fragments of the headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@documents
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    targets = [one for one in re.findall(r"\]\(([^)\s]+)\)", prose(path)) if "://" not in one]
    lost = []
    for target in targets:
        file, _, fragment = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (fragment and fragment not in anchors(there)):
            lost.append(target)
    assert not lost


def test_the_index_lists_every_decision() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"^- \[(\d{4})\]\((\1-[\w-]+\.md)\)", read(folder / "README.md"), re.MULTILINE)
    assert [name for _, name in listed] == sorted(path.name for path in folder.glob("0*.md"))


def fault_of(line: str) -> str | None:
    """What is wrong with a `gateway ...` line, by typer's own command tree."""
    command: Any = COMMANDS
    words = line.split()[1:]
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"{line}: there is no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in known]
    return f"{line}: {unknown[0]} is not an option of it" if unknown else None


@pytest.mark.parametrize("path", [README, OPERATIONS], ids=lambda path: path.name)
def test_every_command_exists(path: Path) -> None:
    lines = [line for line in said(path) if re.match(r"gateway( |$)", line)]
    assert len(lines) > 5
    assert [fault for line in lines if (fault := fault_of(line))] == []


def test_operations_lists_every_command() -> None:
    listed = set(re.findall(r"^\| `gateway ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)", read(OPERATIONS), re.MULTILINE))
    assert listed == set(leaves(COMMANDS))


def leaves(group: Any, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


@documents
def test_every_target_of_make_exists(path: Path) -> None:
    makefile = read(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {match[1] for line in said(path) if (match := re.match(r"make ([a-z-]+)", line))}
    assert named <= targets


def keys(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, Any]]:
    """(key, default) of every setting, entries of a list written `key[].`."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        is_list = typing.get_origin(inner) is list
        if is_list or typing.get_origin(inner) in (typing.Union, types.UnionType):
            inner = typing.get_args(inner)[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{place}{name}{'[]' if is_list else ''}.")
        else:
            yield f"{place}{name}", field.default


def key_rows(page: str) -> list[tuple[str, str]]:
    """(key, default) of each row of a table of keys, as written."""
    return re.findall(r"^\| `([a-z0-9_.\[\]]+)` \| (.+?) \| .+ \|$", page, re.MULTILINE)


def test_operations_explains_every_key_with_its_default() -> None:
    rows = key_rows(read(OPERATIONS))
    told = {key: default for key, default in rows if key.split(".")[0].split("[")[0] in Config.model_fields}
    words = {"required": PydanticUndefined, "not set": None}
    written = {
        key: words[default] if default in words else yaml.safe_load(default.strip("`")) for key, default in told.items()
    }
    assert written == dict(keys(Config))


@documents
def test_every_example_of_a_configuration_can_be_taken(path: Path, tmp_path: Path) -> None:
    secret, file = tmp_path / "secret", tmp_path / "gateway.yaml"
    secret.write_text("made-up\n", encoding="utf-8")
    for block in blocks(path, "yaml"):
        if set(yaml.safe_load(block)) <= set(Config.model_fields):
            file.write_text(re.sub(r"_file: [^\s},]+", f"_file: {secret}", block), encoding="utf-8")
            load(file)


@documents
def test_every_test_that_is_named_exists(path: Path) -> None:
    lost = []
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read(path)):
        there = ROOT / file
        if not there.is_file() or not re.search(rf"^(async )?def {name}\(", read(there), re.MULTILINE):
            lost.append(f"{file}::{name}")
    assert not lost


def test_operations_names_the_schema_of_today() -> None:
    assert f"The schema of today is `{migrations.newest()}`" in OPERATIONS.read_text(encoding="utf-8")


def test_operations_names_every_metric() -> None:
    named = set(re.findall(r"^\| `(gateway_\w+)`", read(OPERATIONS), re.MULTILINE))
    metered = {one.name + ("_total" if one.type == "counter" else "") for one in metrics.REGISTRY.collect()}
    assert named == {name for name in metered if name.startswith("gateway_")}


def test_every_address_of_ours_is_served() -> None:
    served = {route.path for route in ROUTES}
    for path in (README, OPERATIONS, ARCHITECTURE):
        named = re.findall(r"`(?:GET |POST )?(/(?:api/|health/|metrics)[\w/.{}]*)`", read(path))
        assert set(named) <= served


@documents
def test_no_machine_and_no_index_is_named(path: Path) -> None:
    """Documents are read elsewhere: absolute paths are of the reader's machine, addresses are examples."""
    text = read(path).replace("/tmp/gateway-demo-", "")
    hosts = [one for one in re.findall(r"://(?:[^\s/@`]*@)?([^\s/:`\"'>)]+)", text) if not HOSTS.fullmatch(one)]
    paths = [one for one in re.findall(r"(?<![\w.}:/*)\]<…-])/([a-z]\w*)/", text) if one not in PLACES]
    assert (hosts, paths) == ([], [])


def listeners(model: type[BaseModel] = Config, place: str = "") -> set[str]:
    """Every section of the configuration that listens on a port."""
    ports = [key for key, _ in keys(model, place) if key.endswith(".port")]
    paths = [key for key in ports if not re.search(r"\.destinations|\.repositories|studies\.sources", key)]
    return {key.removesuffix(".port") for key in paths}


def test_the_threat_model_lists_every_listener() -> None:
    page = read(ROOT / "THREAT_MODEL.md").partition("## Entry points")[2].partition("##")[0]
    assert set(re.findall(r"^\| `([a-z0-9_.\[\]]+)` \|", page, re.MULTILINE)) == listeners()


def test_a_key_without_a_row_in_operations_is_named() -> None:
    """The comparison above bites: a page that lacks a key is not equal to the configuration."""
    page = read(OPERATIONS).replace("| `dicom.port` |", "| dicom.port |")
    assert dict(keys(Config)).keys() - dict(key_rows(page)).keys() == {"dicom.port"}


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = re.findall(r"tests/[a-z0-9_/]+\.py(?:::[a-z0-9_]+)?", read(ROOT / "THREAT_MODEL.md"))
    assert len(named) > 60
    for test in named:
        file, _, function = test.partition("::")
        assert (ROOT / file).exists(), test
        assert not function or f"def {function}(" in read(ROOT / file), test
