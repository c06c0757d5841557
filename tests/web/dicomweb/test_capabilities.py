"""Retrieve Capabilities (PS3.18 8.9, Annex H): what is served is what is described."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gateway.web.dicomweb.study_addresses import STUDIES
from gateway.web.dicomweb.transactions import TRANSACTIONS
from tests.journey.running import Start
from tests.web.dicomweb.client import PERFORMED, STEPS, client_of

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

WADL = "{http://wadl.dev.java.net/2009/02}"
STUDY = "/studies/{study}"
SERVED = {
    ("/", "OPTIONS", "RetrieveCapabilities"),
    (STEPS, "GET", "Search"),
    (f"{PERFORMED}/{{uid}}", "POST", "Create"),
    (f"{PERFORMED}/{{uid}}", "POST", "Update"),
    (f"{PERFORMED}/{{uid}}", "GET", "Retrieve"),
    (STUDIES, "POST", "Store"),
    (f"{STUDIES}/{{study}}", "POST", "Store"),
    *(
        (path, "GET", "Search")
        for path in ("/studies", "/series", "/instances", STUDY + "/series", STUDY + "/instances")
    ),
    (f"{STUDY}/series/{{series}}/instances", "GET", "Search"),
    (f"{STUDY}/metadata", "GET", "RetrieveMetadata"),
    (f"{STUDY}/series/{{series}}/metadata", "GET", "RetrieveMetadata"),
    (f"{STUDY}/series/{{series}}/instances/{{instance}}/metadata", "GET", "RetrieveMetadata"),
}


async def test_capabilities_list_what_is_served_in_each_media_type(start: Start) -> None:
    table = {(one.path, one.method.http_method, one.method.id) for one in TRANSACTIONS if not one.of_pixels}
    assert table == SERVED
    async with start() as gateway, client_of(gateway) as client:
        for path in ("", "/", STEPS, STUDIES, f"{PERFORMED}/1.2.3", f"{PERFORMED}/1.2.3/"):
            answer = await client.ask("OPTIONS", path)
            assert (answer.status, answer.headers["Content-Type"]) == (
                200,
                "application/vnd.sun.wadl+xml; charset=utf-8",
            )
        [resources] = ElementTree.fromstring(answer.body)
        assert resources.get("base") == client.base
        described = {
            (resource.get("path"), method.get("name"), method.get("id"))
            for resource in resources
            for method in resource.iter(f"{WADL}method")
        }
        assert described == SERVED
        search = next(one for one in resources.iter(f"{WADL}method") if one.get("id") == "Search")
        named = {one.get("name") for one in search.iter(f"{WADL}param")}
        assert {"fuzzymatching", "includefield", "limit", "offset", "emptyvaluematching", "Accept"} <= named
        as_json = (await client.ask("OPTIONS", "/", accept="application/json")).json
        assert {
            (resource["path"], method["name"], method["id"])
            for resource in as_json["resources"]
            for method in resource["methods"]
        } == SERVED
        for accept, status in (("image/png", 406), (None, 406), ("application/xml", 200)):
            assert (await client.ask("OPTIONS", "/", accept=accept)).status == status
        nowhere = await client.ask("GET", "/workitems")
        assert (nowhere.status, nowhere.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
