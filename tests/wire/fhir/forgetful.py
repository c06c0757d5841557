"""A FHIR server that loses its data and then gives the same ids again, and that may answer searches from a cache."""

from __future__ import annotations

import itertools
import json
from typing import Any

from aiohttp import web
from yarl import URL

Stored = dict[str, Any]


class ForgetfulServer:
    """Ids and versions count up from 1; after `empty` they start again, as on a test server that was reset."""

    takes_extensions = True
    lags = False
    """A search does not see what was committed."""
    held_status = 0
    """The answer to If-None-Match where there is a resource; 0: it is not looked at."""

    def __init__(self, *, caches_searches: bool = False) -> None:
        self.resources: dict[tuple[str, str], Stored] = {}
        self.writes: list[str] = []
        self._ids = itertools.count(1)
        self._cache: dict[str, Stored] | None = {} if caches_searches else None

    def empty(self) -> None:
        self.resources.clear()
        self._ids = itertools.count(1)

    def held(self, kind: str = "ImagingStudy") -> dict[str, Stored]:
        return {identity: one for (stored, identity), one in self.resources.items() if stored == kind}

    @property
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metadata", self._metadata), web.post("/", self._transaction),
            web.get("/{kind}", self._search), web.post("/{kind}", self._create), web.put("/{kind}", self._put_where),
            web.get("/{kind}/{id}", self._read), web.put("/{kind}/{id}", self._put),
            web.delete("/{kind}/{id}", self._delete),
        ]  # fmt: skip

    async def _metadata(self, _request: web.Request) -> web.Response:
        return web.json_response({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": []})

    def _with(self, kind: str, identifier: str) -> list[Stored]:
        if self.lags:
            return []
        system, _, value = identifier.partition("|")
        wanted = {"system": system, "value": value}
        return [one for one in self.held(kind).values() if wanted in one.get("identifier", [])]

    async def _search(self, request: web.Request) -> web.Response:
        found = self._with(request.match_info["kind"], request.query["identifier"])
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in found]}
        if self._cache is not None:
            if request.headers.get("Cache-Control") == "no-cache":
                return web.json_response(bundle)
            bundle = self._cache.setdefault(request.path_qs, bundle)
        return web.json_response(bundle)

    async def _read(self, request: web.Request) -> web.Response:
        held = self.resources.get((request.match_info["kind"], request.match_info["id"]))
        return web.json_response(held) if held else web.Response(status=404)

    def _keep(self, kind: str, identity: str, resource: Stored) -> tuple[int, Stored]:
        if "extension" in resource and not self.takes_extensions:
            issue = {"severity": "error", "code": "extension", "expression": [f"{kind}.extension[0]"]}
            outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
            raise web.HTTPUnprocessableEntity(text=json.dumps(outcome), content_type="application/fhir+json")
        before = self.resources.get((kind, identity))
        version = str(int(before["meta"]["versionId"]) + 1) if before else "1"
        kept = {**resource, "id": identity, "meta": {"versionId": version}}
        self.resources[kind, identity] = kept
        return (200 if before else 201), kept

    def _answer(self, status: int, kept: Stored) -> web.Response:
        return web.json_response(kept, status=status, headers={"ETag": f'W/"{kept["meta"]["versionId"]}"'})

    async def _create(self, request: web.Request) -> web.Response:
        kind, condition = request.match_info["kind"], request.headers.get("If-None-Exist", "")
        self.writes.append(f"POST {kind}")
        if condition and (found := self._with(kind, URL(f"?{condition}").query["identifier"])):
            return self._answer(200, found[0])
        return self._answer(*self._keep(kind, str(next(self._ids)), await request.json()))

    async def _put_where(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        self.writes.append(f"PUT {kind}?")
        found = self._with(kind, request.query["identifier"])
        identity = found[0]["id"] if found else str(next(self._ids))
        return self._answer(*self._keep(kind, identity, await request.json()))

    async def _put(self, request: web.Request) -> web.Response:
        kind, identity = request.match_info["kind"], request.match_info["id"]
        self.writes.append(f"PUT {kind}/{identity}")
        before, expected = self.resources.get((kind, identity)), request.headers.get("If-Match")
        if before and self.held_status and request.headers.get("If-None-Match") == "*":
            return web.Response(status=self.held_status)
        if before is None and identity.isdigit():
            return web.Response(status=400)
        if expected and before and expected != f'W/"{before["meta"]["versionId"]}"':
            return web.Response(status=409)
        return self._answer(*self._keep(kind, identity, await request.json()))

    async def _delete(self, request: web.Request) -> web.Response:
        self.resources.pop((request.match_info["kind"], request.match_info["id"]))
        return web.Response(status=204)

    async def _transaction(self, request: web.Request) -> web.Response:
        [entry] = (await request.json())["entry"]
        kind, _, rest = entry["request"]["url"].partition("?")
        if rest:
            found = self._with(kind, URL(f"?{rest}").query["identifier"])
            identity = found[0]["id"] if found else str(next(self._ids))
        else:
            kind, _, identity = kind.partition("/")
        self.writes.append(f"transaction {kind}")
        status, kept = self._keep(kind, identity, entry["resource"])
        response = {"status": str(status), "location": f"{kind}/{identity}", "etag": f'W/"{kept["meta"]["versionId"]}"'}
        return web.json_response(
            {"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": response}]}
        )
