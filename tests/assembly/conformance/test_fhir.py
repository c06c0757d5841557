"""The FHIR statement: resources, elements, ways and the facade; CapabilityStatements before fhir.resources."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as of_r5
from fhir.resources.R4B import get_fhir_model_class as of_r4b
from typer.testing import CliRunner

from gateway.assembly.conformance.fhir_capability import bundle, client_statement
from gateway.assembly.conformance.fhir_elements import ELEMENTS, looked_for_at, written_to
from gateway.assembly.deliveries import receiver_of
from gateway.assembly.mappings import load_mappings
from gateway.cli.commands import cli
from gateway.clock import now
from gateway.config.ehrs import Ehr
from gateway.config.tree import Config
from gateway.mapping import STUDIES
from gateway.mapping.studies.patient import patient
from gateway.mapping.studies.procedure import procedure
from gateway.mapping.studies.service_request import service_request
from gateway.mapping.studies.task import task
from gateway.operations.conformance.sections import StatementName
from gateway.records.study import Release
from gateway.records.work import Part
from gateway.store import Store
from gateway.web import facade
from gateway.web.facade.parameters import PARAMETERS
from gateway.wire.fhir.capability import Way, capabilities_of
from tests.assembly.conformance import sites
from tests.assembly.conformance.sites import BIG, SITES, rows
from tests.mapping.maximal import dataset
from tests.mapping.studies.test_document_reference import built
from tests.mapping.studies.test_procedure import STEP, SUBJECT
from tests.mapping.studies.test_service_request import ORDER, PATIENT, SETTINGS
from tests.mapping.studies.test_task import BEGUN, COMPLETED

AUDITED = Config(ehrs=[Ehr(name="ehr", url="http://ehr.test/fhir", audit_events=True)])
RELEASES: tuple[Release, ...] = ("R4", "R5")


def sections(config: Config | None = None) -> dict[str, dict[str, object]]:
    return sites.sections(StatementName.FHIR, config or SITES["defaults"])


def test_an_ehr_that_takes_audit_events_is_stated() -> None:
    written = rows(sections(AUDITED)["1.1.1"])
    assert [row["Interactions"] for row in written if row["Resource"] == "AuditEvent"] == ["create"]
    resources = client_statement(AUDITED.ehrs[0], now)["rest"][0]["resource"]
    assert [one["interaction"] for one in resources if one["type"] == "AuditEvent"] == [[{"code": "create"}]]


@pytest.mark.parametrize("model", [of_r4b, of_r5], ids=RELEASES)
def test_capability_statements_are_valid(model: Callable[[str], Any]) -> None:
    made = bundle(BIG, now)
    model("Bundle").model_validate(made)
    statements = [entry["resource"] for entry in made["entry"]]
    for one in statements:
        model("CapabilityStatement").model_validate(one)
    assert [one["rest"][0]["mode"] for one in statements] == ["server", *["client"] * len(BIG.ehrs)]
    model("Bundle").model_validate(bundle(Config(), now))


def test_the_command_prints_them(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text("ehrs:\n- {name: main, url: 'http://x/fhir'}\n", encoding="utf-8")
    printed = CliRunner().invoke(cli, ["conformance", "fhir", "--format", "fhir"])
    [entry] = json.loads(printed.output)["entry"]
    assert entry["resource"]["implementation"]["url"] == "http://x/fhir"
    refused = CliRunner().invoke(cli, ["conformance", "hl7", "--format", "fhir"])
    assert refused.exit_code == 1


@pytest.mark.parametrize("config", SITES.values(), ids=SITES)
def test_each_ehr_states_its_resources(config: Config) -> None:
    stated = sections(config)
    assert {row["EHR"] for row in rows(stated["1.1"], "EHRs")} - {"none"} == {one.name for one in config.ehrs}
    for number, ehr in enumerate(config.ehrs, 1):
        listed = {row["Resource"] for row in rows(stated[f"1.1.{number}"])}
        assert listed == {*written_to(ehr), *looked_for_at(ehr)}
        [rest] = client_statement(ehr, now)["rest"]
        assert {one["type"] for one in rest["resource"]} == listed


def ehr(**keys: Any) -> Ehr:
    return Ehr.model_validate({"name": "x", "url": "http://x", **keys})


def test_the_resources_are_those_of_the_work_that_is_done() -> None:
    parts = {Part.ORDER: "ServiceRequest", Part.TASK: "Task"}
    for orders in ("identifier", "find", "write"):
        for tasks in ("off", "write"):
            one = ehr(orders=orders, tasks=tasks)
            assert {parts[part] for part in receiver_of(one).parts} == set(written_to(one)) & set(parts.values())
    assert written_to(ehr(procedures="write", patient="create")) == ("ImagingStudy", "Procedure", "Patient")
    assert looked_for_at(ehr(patient="find", orders="find")) == ("Patient", "ServiceRequest")


def test_a_client_announces_the_ways_that_it_uses() -> None:
    for way in Way:
        [rest] = client_statement(ehr(write=way.value), now)["rest"]
        announced = {"rest": [{**rest, "mode": "server"}]}
        read = capabilities_of(announced, "ImagingStudy")
        assert read.ways[0] is (Way.SEARCH if way is Way.TRANSACTION else way)
        assert read.transactions is (way is Way.TRANSACTION)


@pytest.mark.parametrize("release", RELEASES)
def test_the_elements_are_those_of_the_resources_that_are_made(release: Release) -> None:
    identifier = {"system": "urn:x", "value": "1"}
    person = patient({"PatientName": "Doe^Jane", "PatientSex": "F", "PatientBirthDate": "19700101"}, identifier)
    made = {
        "DocumentReference": built("1.2.3", [dataset()], release),
        "ServiceRequest": service_request(ORDER, PATIENT, SETTINGS, release)[0],
        "Task": task(ORDER, PATIENT, [BEGUN, COMPLETED], SETTINGS)[0],
        "Procedure": procedure("1.9", STEP, SUBJECT, [], SETTINGS, release)[0],
        "Patient": person,
    }
    assert set(made) == set(ELEMENTS)
    for kind, resource in made.items():
        assert set(resource) - {"resourceType"} == set(ELEMENTS[kind][release]), kind


def test_every_row_of_the_study_mapping_is_stated() -> None:
    stated, file = sections()["1.3"], load_mappings(Config()).files[STUDIES]
    tables = {"study": "", "series": ".series", "instance": ".series.instance"}
    for level, title in tables.items():
        both = [row.target for row in file.rows[level] if not row.target.endswith("@R5")]
        assert len(rows(stated, f"ImagingStudy{title}, R4")) == len(both)
    r5 = {row["Element"] for row in rows(stated, "ImagingStudy, R5")}
    assert {"procedure", "reason"} <= r5
    assert not {"interpreter", "procedureCode"} & r5


async def test_the_facade_states_what_its_routes_serve(store: Store) -> None:
    served = facade.build(store, path="/fhir", guard=None, zone=UTC, version="1", now=0)  # type: ignore[arg-type]
    meaning = {"/ImagingStudy": "search-type", "/ImagingStudy/_search": "search-type"}
    routed = {
        (route.resource.canonical.split("/")[1], meaning.get(route.resource.canonical, "read"))
        for route in served.router.routes()
        if route.resource is not None and route.resource.canonical != "/metadata"
    }
    stated = sections(BIG)["1.5"]
    listed = {(row["Resource"], code) for row in rows(stated, "Resources") for code in row["Interactions"].split(", ")}
    assert routed == listed
    assert [row["Parameter"] for row in rows(stated, "Search parameters")] == [f"`{name}`" for name in PARAMETERS]
