from __future__ import annotations

import re
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from gateway.errors import Fate
from gateway.records.cause import cause_of, cause_of_message
from gateway.records.completeness import Evidence, EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.message import MessageState
from gateway.records.order_check import Check, CheckPolicy, Conflict, FoundConflict, OrderStanding
from gateway.records.row_ids import OrderRow
from gateway.records.work import WorkState, delivery_to
from gateway.store import audit, completeness, message_ties, moved_instances, order_conflicts
from gateway.store.moved_instances import Found, Move
from gateway.store.schema import instances
from gateway.web.server import ROUTES
from tests.operations.audit.events import EVENTS
from tests.store.test_audit import recorded
from tests.web.schema import faults
from tests.web.served import (
    NINE,
    STUDY,
    UNLINKED,
    Served,
    add_delivery,
    add_images,
    add_message,
    add_notification,
    add_performed_step,
    add_refusal,
    add_unlinked_step,
    whole_journey,
)

OTHER = StudyInstanceUID("1.2.7")
STATED = Evidence(EvidenceKind.ARCHIVE_COUNTS, "pacs", NINE, series=2, instances=3)


async def document_of(console: Served) -> dict[str, Any]:
    status, document = await console.get("/api/openapi.json")
    assert status == 200
    assert isinstance(document, dict)
    return document


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def body_schema(operation: dict[str, Any], status: int) -> Any:
    return operation["responses"][str(status)]["content"]["application/json"]["schema"]


async def test_the_router_serves_what_the_document_says_and_nothing_else(console: Served) -> None:
    document = await document_of(console)
    routed = {
        (route.method, route.resource.canonical)
        for route in console.application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routed == set(operations(document))
    for (method, path), operation in operations(document).items():
        concrete = re.sub(r"\{\w+\}", "1", path)
        async with console.session.request(method, console.base + concrete) as response:
            assert str(response.status) in operation["responses"], (method, path, response.status)


async def test_every_path_parameter_is_documented_and_every_reference_leads_somewhere(console: Served) -> None:
    document = await document_of(console)
    ids = []
    for (_, path), operation in operations(document).items():
        in_path = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert operation["summary"]
        ids.append(operation["operationId"])
    assert len(ids) == len(set(ids))
    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert references == references & set(document["components"]["schemas"])
    assert "Journey" in references
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"


async def test_the_states_that_exist_are_listed_and_each_is_taken(console: Served) -> None:
    document = await document_of(console)
    for path, states in (("/api/messages", MessageState), ("/api/deliveries", WorkState)):
        [parameter] = [one for one in operations(document)["GET", path]["parameters"] if one["name"] == "state"]
        [reference] = [one["$ref"] for one in parameter["schema"]["anyOf"] if "$ref" in one]
        listed = document["components"]["schemas"][reference.rpartition("/")[2]]["enum"]
        assert listed == [one.value for one in states]
        for state in (*listed, ""):
            status, _ = await console.get(f"{path}?state={state}")
            assert status == 200, (path, state)


CAUSE = cause_of(delivery_to("main"), {"error": "no"}).key
MISSING = cause_of_message({"place": "PID-3", "text": "missing"}).key
PAUSE, RESUME = "/api/receivers/{name}/pause", "/api/receivers/{name}/resume"
RESEND = "/api/receivers/{name}/resend"
PREVIEW = "/api/studies/{uid}/series/{series}/instances/{instance}/preview.jpg"
EXCLUDE, INCLUDE = "/api/studies/{uid}/exclude", "/api/studies/{uid}/include"
GIVE_UP = "/api/deliveries/{id}/give-up"
NEVER = cause_of(delivery_to("main"), {"error": "never"}).key
STUDY_LINK, RELEASE = "/api/studies/{uid}/link", "/api/studies/{uid}/release"
LINK, UNLINK = "/api/performed-steps/{uid}/link", "/api/performed-steps/{uid}/unlink"
USER = "/api/users/{name}"
CALLS = (
    ("GET", "/health/live", "/health/live", 200),
    ("GET", "/health/ready", "/health/ready", 200),
    ("GET", "/api/state", "/api/state", 200),
    ("POST", "/api/reload", "/api/reload", 200),
    ("POST", "/api/legal-holds", "/api/legal-holds?subject=patient&value=P1&note=case", 200),
    ("POST", "/api/legal-holds", "/api/legal-holds?subject=patient&value=P1&note=case", 409),
    ("GET", "/api/legal-holds", "/api/legal-holds", 200),
    ("POST", "/api/legal-holds/release", "/api/legal-holds/release?subject=patient&value=P1&note=closed", 200),
    ("GET", "/api/orders", "/api/orders", 200),
    ("GET", "/api/orders", "/api/orders?limit=x", 400),
    ("GET", "/api/worklist", "/api/worklist", 200),
    ("GET", "/api/turnaround", "/api/turnaround?first=20260105&last=20260105", 200),
    ("GET", "/api/turnaround", "/api/turnaround?first=20260106&last=20260105", 400),
    ("GET", "/api/journey/{accession}", "/api/journey/A100", 200),
    ("GET", "/api/journey/{accession}", "/api/journey/nobody", 404),
    ("GET", "/api/why/{accession}", "/api/why/A1?station=CT1", 200),
    ("GET", "/api/why/{accession}", "/api/why/nobody?station=CT1", 404),
    ("GET", "/api/why/{accession}", "/api/why/A1", 400),
    ("GET", "/api/studies/{uid}", "/api/studies/1.2.3", 404),
    ("GET", PREVIEW, f"/api/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.9.1/preview.jpg", 404),
    ("GET", "/api/studies", "/api/studies", 200),
    ("GET", "/api/studies", "/api/studies?standing=lost", 400),
    ("POST", "/api/studies/{uid}/withdraw", f"/api/studies/{STUDY}/withdraw?note=test", 200),
    ("POST", "/api/studies/{uid}/withdraw/undo", f"/api/studies/{STUDY}/withdraw/undo", 200),
    ("POST", "/api/studies/{uid}/withdraw", "/api/studies/1.2.3/withdraw", 404),
    ("GET", "/api/messages", "/api/messages", 200),
    ("GET", "/api/messages", "/api/messages?limit=1", 200),
    ("GET", "/api/messages/{id}", "/api/messages/2", 200),
    ("GET", "/api/messages/{id}", "/api/messages/77", 404),
    ("POST", "/api/messages/{id}/replay", "/api/messages/1/replay", 200),
    ("GET", "/api/deliveries", "/api/deliveries", 200),
    ("GET", "/api/causes", "/api/causes", 200),
    ("POST", "/api/causes/{key}/retry", f"/api/causes/{CAUSE}/retry", 200),
    ("POST", "/api/causes/{key}/retry", "/api/causes/00000000/retry", 404),
    ("POST", "/api/deliveries/{id}/retry", "/api/deliveries/2/retry", 200),
    ("POST", "/api/deliveries/{id}/retry", "/api/deliveries/1/retry", 409),
    ("POST", "/api/deliveries/{id}/retry", "/api/deliveries/77/retry", 404),
    ("POST", "/api/studies/{uid}/resend", f"/api/studies/{STUDY}/resend", 200),
    ("POST", PAUSE, "/api/receivers/main/pause?note=upgrade", 200),
    ("POST", PAUSE, "/api/receivers/nobody/pause", 404),
    ("POST", RESUME, "/api/receivers/main/resume", 200),
    ("POST", RESUME, "/api/receivers/nobody/resume", 404),
    ("POST", GIVE_UP, "/api/deliveries/2/give-up?note=test", 200),
    ("POST", GIVE_UP, "/api/deliveries/2/give-up?note=+", 422),
    ("POST", GIVE_UP, "/api/deliveries/2/give-up", 400),
    ("POST", GIVE_UP, "/api/deliveries/1/give-up?note=test", 409),
    ("POST", GIVE_UP, "/api/deliveries/77/give-up?note=test", 404),
    ("POST", "/api/causes/{key}/give-up", f"/api/causes/{NEVER}/give-up?note=test", 200),
    ("POST", "/api/causes/{key}/give-up", f"/api/causes/{NEVER}/give-up?note=test", 404),
    ("POST", "/api/receivers/{name}/retry", "/api/receivers/main/retry", 200),
    ("POST", "/api/receivers/{name}/retry", "/api/receivers/nobody/retry", 404),
    ("GET", "/api/deliveries", "/api/deliveries?receiver=main&state=done", 200),
    ("GET", "/api/deliveries", "/api/deliveries?receiver=nobody", 404),
    ("POST", RESEND, "/api/receivers/main/resend?since=2026-01-05&per_second=2", 200),
    ("GET", "/api/receivers", "/api/receivers", 200),
    ("POST", RESEND, "/api/receivers/nobody/resend", 404),
    ("POST", RESEND, "/api/receivers/ris/resend", 400),
    # At such a rate the last would fall due beyond the calendar, and no page could show it.
    ("POST", RESEND, "/api/receivers/main/resend?per_second=1e-9", 400),
    ("POST", "/api/studies/{uid}/resend", f"/api/studies/{STUDY}/resend", 404),
    ("POST", EXCLUDE, f"/api/studies/{STUDY}/exclude?part={STUDY}.9.1&note=wrong", 200),
    ("POST", EXCLUDE, f"/api/studies/{STUDY}/exclude?part={STUDY}.0&note=wrong", 409),
    ("POST", EXCLUDE, f"/api/studies/{STUDY}/exclude?part={STUDY}.9.1", 422),
    ("POST", EXCLUDE, f"/api/studies/{STUDY}/exclude?part=1.2.3&note=wrong", 404),
    ("POST", INCLUDE, f"/api/studies/{STUDY}/include?part={STUDY}.9.1", 200),
    ("POST", STUDY_LINK, f"/api/studies/{STUDY}/link?accession=A100", 200),
    ("POST", STUDY_LINK, f"/api/studies/{STUDY}/link", 422),
    ("POST", STUDY_LINK, "/api/studies/1.2.3/link?accession=A100", 404),
    ("POST", RELEASE, f"/api/studies/{STUDY}/release?note=seen", 200),
    ("POST", RELEASE, f"/api/studies/{STUDY}/release", 422),
    ("POST", RELEASE, "/api/studies/1.2.3/release?note=seen", 404),
    ("GET", "/api/studies/{uid}", f"/api/studies/{STUDY}", 200),
    ("POST", "/api/studies/{uid}/unlink", f"/api/studies/{STUDY}/unlink?accession=A100", 200),
    ("GET", "/api/silent", "/api/silent", 200),
    ("GET", "/api/unlinked", "/api/unlinked", 200),
    ("POST", LINK, f"/api/performed-steps/{UNLINKED}/link?accession=A100", 200),
    ("POST", LINK, "/api/performed-steps/1.2.3/link?accession=A100", 404),
    ("POST", LINK, f"/api/performed-steps/{UNLINKED}/link", 422),
    ("POST", UNLINK, f"/api/performed-steps/{UNLINKED}/unlink", 200),
    ("POST", UNLINK, f"/api/performed-steps/{UNLINKED}/unlink", 404),
    ("POST", "/api/users", "/api/users?name=ada&role=admin", 200),
    ("POST", "/api/users", "/api/users?name=ada&role=viewer", 409),
    ("GET", "/api/users", "/api/users", 200),
    ("GET", "/api/audit", "/api/audit?what=order%20record", 200),
    ("POST", USER + "/role", "/api/users/ada/role?role=viewer", 409),
    ("POST", USER + "/link", "/api/users/ada/link", 200),
    ("POST", USER + "/link", "/api/users/nobody/link", 404),
    ("POST", "/api/users", "/api/users?name=vera&role=viewer", 200),
    ("POST", USER + "/role", "/api/users/vera/role?role=operator", 200),
    ("POST", USER + "/disable", "/api/users/vera/disable", 200),
    ("POST", USER + "/disable", "/api/users/ada/disable", 409),
    ("POST", USER + "/enable", "/api/users/vera/enable", 200),
    ("POST", "/api/tokens", "/api/tokens?name=ct1&scanner=CT1&days=30", 200),
    ("POST", "/api/tokens", "/api/tokens?name=ct1&role=viewer", 409),
    ("POST", "/api/tokens", "/api/tokens?name=ct2", 400),
    ("GET", "/api/tokens", "/api/tokens", 200),
    ("POST", "/api/tokens/{name}/revoke", "/api/tokens/ct1/revoke", 200),
    ("POST", "/api/tokens/{name}/revoke", "/api/tokens/ct1/revoke", 409),
    ("GET", "/api/refusals", "/api/refusals", 200),
    ("GET", "/api/search", "/api/search?q=4711", 200),
    ("GET", "/api/search", "/api/search?state=asleep", 400),
    ("GET", "/api/message-causes", "/api/message-causes", 200),
    ("POST", "/api/messages/{id}/put-away", "/api/messages/2/put-away?note=seen", 200),
    ("POST", "/api/messages/{id}/put-away", "/api/messages/2/put-away", 422),
    ("POST", "/api/messages/{id}/put-away", "/api/messages/1/put-away?note=seen", 409),
    ("POST", "/api/messages/{id}/put-away", "/api/messages/77/put-away?note=seen", 404),
    ("POST", "/api/messages/{id}/take-back", "/api/messages/2/take-back", 200),
    ("POST", "/api/messages/{id}/take-back", "/api/messages/1/take-back", 409),
    ("POST", "/api/message-causes/{key}/replay", f"/api/message-causes/{MISSING}/replay", 200),
    ("POST", "/api/message-causes/{key}/put-away", f"/api/message-causes/{MISSING}/put-away?note=seen", 200),
    ("POST", "/api/message-causes/{key}/put-away", f"/api/message-causes/{MISSING}/put-away?note=seen", 404),
    ("POST", "/api/message-causes/{key}/replay", f"/api/message-causes/{MISSING}/replay", 404),
    ("POST", "/api/refusals/{id}/put-away", "/api/refusals/1/put-away?note=scanner", 200),
    ("POST", "/api/refusals/{id}/put-away", "/api/refusals/77/put-away?note=scanner", 404),
    ("POST", "/api/refusals/{id}/take-back", "/api/refusals/1/take-back", 200),
)


def differ(connection: Connection) -> None:
    """Let an order of another patient hold the study."""
    conflict = FoundConflict(Conflict(Check.PATIENT_ID, OrderRow(1), "4711", "4712"), CheckPolicy.HOLD)
    uid = StudyInstanceUID(STUDY)
    order_conflicts.note(connection, uid, [conflict], OrderStanding.HELD, now=NINE)


def move(connection: Connection) -> None:
    """Let an archive have moved an instance from the study, and another to the study."""
    first, second = connection.execute(select(instances.c.id).order_by(instances.c.id).limit(2)).scalars()
    rows = [
        Move(first, StudyInstanceUID(STUDY), OTHER, "1.2.7.1"),
        Move(second, OTHER, StudyInstanceUID(STUDY), "1.2.7.2"),
    ]
    moved_instances.write(connection, Found(rows), now=NINE)


async def test_bodies_are_what_the_document_says(console: Served) -> None:
    rows = await console.store.write(whole_journey)
    await console.store.write(lambda connection: add_performed_step(connection, rows["order"]))
    await console.store.write(lambda connection: add_unlinked_step(connection, rows["order"]))
    wrong = [{"place": "PID-3", "text": "missing"}]

    def rejected(connection: Connection) -> None:
        message = add_message(connection, state="rejected", findings=wrong)
        message_ties.tie(connection, message, {rows["order"]: "stale"})

    await console.store.write(rejected)
    await console.store.write(
        lambda connection: add_delivery(connection, at=NINE, study_uid="1.2.9", fate=Fate.PARK, outcome={"error": "no"})
    )
    never = {"error": "never"}
    await console.store.write(lambda c: add_delivery(c, at=NINE, study_uid="1.2.8", fate=Fate.PARK, outcome=never))
    await console.store.write(add_images)
    await console.store.write(differ)
    await console.store.write(move)
    await console.store.write(add_refusal)
    await console.store.write(add_notification)
    stated = partial(completeness.record, study_uid=StudyInstanceUID(STUDY), evidence=STATED)
    await console.store.write(stated)
    await console.store.write(recorded(*EVENTS))
    await console.store.write(audit.seal)
    document = await document_of(console)
    for method, path, address, status in CALLS:
        async with console.session.request(method, console.base + address) as response:
            assert (response.status, response.content_type) == (status, "application/json"), address
            body = await response.json()
        schema = body_schema(operations(document)[method, path], status)
        assert list(faults(body, schema, document)) == [], address
        # An empty list would prove nothing about its rows.
        assert all(value for value in body.values() if isinstance(value, list)), address


def test_every_json_route_has_its_body_checked() -> None:
    modelled = {(route.method, route.path) for route in ROUTES if not isinstance(route.answer, str)}
    assert {(method, path) for method, path, _, status in CALLS if status == 200} == modelled


def test_the_schema_reader_finds_faults() -> None:
    document = {
        "components": {
            "schemas": {"A": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}
        }
    }
    schema = {"$ref": "#/components/schemas/A"}
    assert list(faults({"n": 1}, schema, document)) == []
    wrong: Any
    for wrong in ({}, {"n": "1"}, {"n": True}, {"n": 1, "m": 2}, [], None):
        assert list(faults(wrong, schema, document)), wrong
    assert list(faults("x", {"anyOf": [{"type": "null"}, {"enum": ["y"]}]}, document))
