"""The statements as pages: what the command prints, read back by parsers of Markdown and HTML."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from gateway.cli.commands import cli
from gateway.operations.conformance.html import html
from gateway.operations.conformance.markdown import markdown
from gateway.operations.conformance.sections import StatementName, StatementTable, as_data
from tests.assembly.conformance.sites import SITES, made

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {
    StatementName.DICOM: DOCS / "conformance.md",
    StatementName.HL7: DOCS / "conformance-hl7.md",
    StatementName.FHIR: DOCS / "conformance-fhir.md",
}


@pytest.mark.parametrize("name", StatementName)
def test_the_page_is_what_the_command_prints(name: StatementName, tmp_path: Path, monkeypatch: Any) -> None:
    """`gateway conformance hl7 > docs/conformance-hl7.md`, without a configuration."""
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(cli, ["conformance", name])
    assert printed.exit_code == 0, printed.output
    assert PAGES[name].read_text(encoding="utf-8") == printed.output
    data = CliRunner().invoke(cli, ["conformance", name, "--json"])
    assert json.loads(data.output) == json.loads(json.dumps(as_data(made(name, SITES["defaults"]))))


def test_without_a_name_it_is_that_of_dicom(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["conformance"]).output == PAGES[StatementName.DICOM].read_text(encoding="utf-8")


def plain(table: StatementTable) -> list[list[str]]:
    """Columns and cells as a reader sees them."""
    return [[" ".join(cell.replace("`", "").split()) for cell in row] for row in (table.columns, *table.rows)]


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", StatementName)
def test_every_cell_is_read_back_from_markdown(name: StatementName, site: str) -> None:
    statement = made(name, SITES[site])
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(statement))
    tables: list[list[list[str]]] = []
    headings = []
    for number, token in enumerate(tokens):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1].append("".join(one.content for one in tokens[number + 1].children or ()))
        elif token.type == "heading_open":
            headings.append(tokens[number + 1].content)
    assert headings == [f"{section.number} {section.title}" for section in statement.sections]
    assert tables == [plain(table) for section in statement.sections for table in section.tables]


class Reader(HTMLParser):
    """Tables, targets of links and everything that a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object") or "src" in given or "style" in given:
            self.loaded.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = []
        self.names.add(given.get("id") or "")
        self.links += [given["href"] or ""] if "href" in given else []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", StatementName)
def test_every_cell_is_read_back_from_html(name: StatementName, site: str) -> None:
    statement = made(name, SITES[site])
    reader = Reader()
    reader.feed(html(statement))
    reader.close()
    assert reader.tables == [plain(table) for section in statement.sections for table in section.tables]
    assert reader.loaded == []
    assert {one.removeprefix("#") for one in reader.links} <= reader.names
    assert len(reader.links) == len(statement.sections) - 1


@pytest.mark.parametrize("name", StatementName)
def test_no_secret_is_stated(name: StatementName) -> None:
    """Every secret of the big site is one of these values."""
    cells = {cell for section in made(name, SITES["big"]).sections for table in section.tables for row in table.rows
             for cell in row}  # fmt: skip
    assert not {cell for cell in cells if "hush" in cell or "u:p@" in cell or cell in ("secret", "def", "ghi", "abc")}
