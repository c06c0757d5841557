"""The conformance statement: the page is what the command prints, and it lists what is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from typer.testing import CliRunner

from gateway.assembly.mappings import load_mappings
from gateway.assembly.served import OPERATIONS, statement
from gateway.cli.commands import cli
from gateway.config.dicom import Dicom
from gateway.config.tree import Config
from gateway.dicom_dictionary import ADDED
from gateway.operations.conformance import as_data, markdown
from gateway.records.performed_step_attributes import ATTRIBUTES, ITEMS
from gateway.web.dicomweb.transactions import TRANSACTIONS
from gateway.wire.dimse.negotiation import served_syntaxes, service_of
from gateway.wire.dimse.policy import SERVICES
from gateway.worklist import keys
from gateway.worklist.matching import SUPPORTED_KEYS

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def sections(config: Config | None = None) -> dict[str, dict[str, Any]]:
    """The sections by their numbers."""
    config = config or Config()
    data = as_data(statement(config, load_mappings(config)))
    return {section["number"]: section for section in data["sections"]}


def rows(section: dict[str, Any]) -> list[dict[str, str]]:
    return [row for table in section["tables"] for row in table["rows"]]


def test_the_page_is_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gateway conformance > docs/conformance.md`, without a configuration."""
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(cli, ["conformance"])
    assert printed.exit_code == 0, printed.output
    assert PAGE.read_text(encoding="utf-8") == printed.output
    config = Config()
    assert printed.output == markdown(statement(config, load_mappings(config)))


def test_the_command_prints_json_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(cli, ["conformance", "--json"])
    assert {section["number"]: section for section in json.loads(printed.output)["sections"]} == sections()


def test_every_class_that_is_accepted_is_listed_with_its_name() -> None:
    listed = [*rows(sections()["N.1.1"]), *rows(sections()["N.1.2"])]
    assert {row["UID"] for row in listed} == set(served_syntaxes())
    assert {service_of(row["UID"]) for row in listed} == SERVICES == set(OPERATIONS)
    assert [row for row in listed if row["SOP Class"].startswith("(")] == []
    private = Config(dicom=Dicom(storage_classes=["1.2.3.4"]))
    assert {row["UID"] for row in rows(sections(private)["N.1.1"])} - {row["UID"] for row in listed} == {"1.2.3.4"}


def test_every_key_that_is_compared_and_every_attribute_that_is_mapped_is_listed() -> None:
    tables = sections()["N.5.2.7"]["tables"]
    tags = {row["Tag"] for table in tables for row in table["rows"]}
    mapped = load_mappings(Config()).orders.tags
    wanted = {*mapped, *(tag_for_keyword(one) for one in (*keys.OF_ROOT, *keys.OF_STEP, *SUPPORTED_KEYS))}
    named = {f"({int(tag) >> 16:04X},{int(tag) & 0xFFFF:04X})" for tag in wanted if tag is not None}
    assert named - tags == {"(0008,1040)"}, "compared only where a site's row gives it"
    required = {row["Attribute Name"] for table in tables for row in table["rows"] if row["Matching key"] == "R"}
    assert required == {
        "Scheduled Procedure Step Sequence", "Scheduled Station AE Title", "Scheduled Procedure Step Start Date",
        "Scheduled Procedure Step Start Time", "Modality", "Scheduled Performing Physician's Name", "Patient's Name",
        "Patient ID",
    }  # fmt: skip
    [gender] = [row for row in tables[0]["rows"] if row["Tag"] == "(0010,0041)"]
    assert (gender["Matching Type"], gender["Return key"]) == ("sequence", "3")


def test_the_attributes_of_performed_steps_are_those_of_the_rules() -> None:
    listed = rows(sections()["N.5.2.2"])
    assert len(listed) == len(ATTRIBUTES) + sum(map(len, ITEMS.values()))
    [start] = [row for row in listed if row["Attribute Name"] == "Performed Procedure Step Start Date"]
    assert (start["N-CREATE"], start["N-SET"]) == ("1", "not allowed")


def test_every_web_transaction_is_listed() -> None:
    listed = {(row["Transaction"], row["Method"], row["Resource"]) for row in rows(sections()["N.1.3"])}
    assert listed == {(one.method.id, one.method.http_method, one.path) for one in TRANSACTIONS}
    assert len(rows(sections()["N.7.3.3"])) == len(TRANSACTIONS)


def test_every_attribute_of_a_later_edition_is_listed_with_its_edition() -> None:
    listed = {row["Attribute Name"]: row["Edition"] for row in rows(sections()["N.10"])}
    assert listed == {one.name: one.edition for one in ADDED}
