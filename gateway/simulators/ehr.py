# Long: one server, whose handlers share its resources and rules.
"""An EHR for demos and faults: FHIR R4 (4.0.1) over HTTP, in memory, polite or badly behaved.

It takes less than a real server does, never more: a resource or a query that it accepts, a real server
accepts too. Every update makes a new version, also one that changes nothing, so that needless ones are seen.
"""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from types import TracebackType
from typing import Self

from aiohttp import web

from gateway.simulators.ehr_answers import (
    MAX_BODY,
    RULE,
    Manners,
    abort,
    body_of,
    capability_statement,
    check_resource,
    check_version,
    failure_answer,
    json_answer,
    outcome_answer,
    served_type,
)
from gateway.simulators.fhir_rules import Issue
from gateway.simulators.fhir_store import FhirError, Resource, ResourceStore, condition_of
from gateway.simulators.manners_file import Action, Mood, Rule, Script

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BASE = "/fhir"


@dataclass(frozen=True)
class Write:
    """One request to change something: what was asked, and the status it was answered with."""

    method: str
    target: str
    status: int | None
    """None: the connection was closed before the answer."""
    kept: bool
    """The EHR holds it, whether the sender knows or not."""


class EhrSimulator:
    """`async with EhrSimulator() as ehr:` serves at `ehr.url` until the block ends; port 0: a free one."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1", *, script: Script | None = None) -> None:
        """`script`: rules of a file, looked at before `manners`."""
        self.manners = Manners()
        self.requests: Counter[tuple[str, int | None]] = Counter()
        """(method, status), None where the connection was closed."""
        self._mood = Mood(script or Script())
        self._doing: dict[Action, Callable[[Rule, web.Request, Handler], Awaitable[web.StreamResponse]]] = {
            "answer": self._answer_as_told, "drop_before": self._drop_before, "drop_after": self._mark,
            "half": self._mark, "slow": self._slow, "slow_body": self._mark, "race": self._race,
            "change": self._change,
        }  # fmt: skip
        self.writes: list[Write] = []
        self._host = host
        self._port = port
        self._store = ResourceStore()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._kept: socket.socket | None = None
        """Holds the port while nobody listens there: another program would get what is meant for this EHR."""

    @property
    def url(self) -> str:
        """The FHIR base address, without a trailing slash."""
        return f"http://{self._host}:{self._port}{_BASE}"

    def resources(self, resource_type: str) -> list[Resource]:
        """Copies of what is kept, the oldest first."""
        return [copy.deepcopy(one) for one in self._store.matches(resource_type, [])]

    def answered(self) -> Iterator[str]:
        """What it saw and holds, for people: requests by answer, and studies that it holds more than once."""
        yield f"{self.requests.total()} requests"
        for (method, status), count in sorted(self.requests.items(), key=str):
            yield f"  {method} {status or 'connection closed'}: {count}"
        studies = self.resources("ImagingStudy")
        held = Counter(json.dumps(one.get("identifier", [])[:1], sort_keys=True) for one in studies)
        yield f"{len(studies)} ImagingStudy resources of {len(held)} studies"
        for identifier, count in held.items():
            if count > 1:
                yield f"  held {count} times: {identifier}"

    def add(self, resource: Resource) -> Resource:
        """Put a resource into the EHR as if a clinician had; `id` is given to it when it has none."""
        check_resource(resource, str(resource.get("resourceType")))
        return self._store.keep(resource, str(resource.get("id") or uuid.uuid4()))

    def forget(self) -> None:
        """Lose all that is kept, as an EHR does that comes back from an old copy."""
        self._store = ResourceStore()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._behave], client_max_size=MAX_BODY)
        app.add_routes(
            [
                web.get(f"{_BASE}/metadata", self._metadata),
                web.get(_BASE + "/{type}", self._search),
                web.post(_BASE + "/{type}", self._create),
                web.put(_BASE + "/{type}", self._update_by_search),
                web.get(_BASE + "/{type}/{id}", self._read),
                web.put(_BASE + "/{type}/{id}", self._update),
                web.delete(_BASE + "/{type}/{id}", self._delete),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._let_port_go()

    async def listen(self) -> None:
        """Take connections, again after `refuse` and then on the same port."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, self._host, self._port)
        await self._site.start()
        self._let_port_go()
        self._port = self._runner.addresses[0][1]

    async def refuse(self) -> None:
        """Close the port and every connection: who connects is refused until `listen`."""
        assert self._runner is not None
        if self._site is not None:
            await self._site.stop()
            self._site = None
            self._kept = socket.socket()
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind((self._host, self._port))
        if self._runner.server is not None:
            for connection in list(self._runner.server.connections):
                connection.force_close()

    def _let_port_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    # Requests

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, 200, capability_statement(self._mood.server))

    async def _search(self, request: web.Request) -> web.StreamResponse:
        found = self._store.matches(served_type(request), list(request.query.items()))
        bundle: Resource = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(found),
            "link": [{"relation": "self", "url": str(request.url)}],
        }
        if found and request.query.get("_summary") != "count":
            bundle["entry"] = [
                {"fullUrl": f"{self.url}/{one['resourceType']}/{one['id']}", "resource": one} for one in found
            ]
        return await self._answer(request, 200, bundle)

    async def _read(self, request: web.Request) -> web.StreamResponse:
        kept = self._store.get(served_type(request), request.match_info["id"])
        if kept is None:
            raise FhirError(404, Issue("not-found", "", f"{request.path} is not known here"))
        return await self._answer(request, 200, kept)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        resource_type = served_type(request)
        resource = await body_of(request)
        check_resource(resource, resource_type)
        condition = request.headers.get("If-None-Exist")
        if condition is not None and self._mood.server.conditional == "refused":
            raise FhirError(501, Issue("not-supported", "", "conditional create is not served"))
        if self._mood.server.conditional == "ignored":
            condition = None
        if condition is not None and (existing := self._store.only(resource_type, condition_of(condition))):
            return await self._answer(request, 200, existing, kept=False)
        return await self._answer(request, 201, self._store.keep(resource, str(uuid.uuid4())))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        resource_type, identity = served_type(request), request.match_info["id"]
        resource = await body_of(request)
        check_resource(resource, resource_type)
        if resource.get("id") != identity:
            raise FhirError(
                400, Issue("invalid", f"{resource_type}.id", "is not the id of the address (R4 http 3.1.0.4)")
            )
        existing = self._store.get(resource_type, identity)
        if existing is None and not self._mood.server.update_create:
            raise FhirError(405, Issue("not-supported", "", f"{request.path} is not there, and PUT does not create"))
        check_version(request, existing)
        return await self._answer(request, 200 if existing else 201, self._store.keep(resource, identity))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        self._store.remove(served_type(request), request.match_info["id"])
        self._note(request, 204, kept=True)
        return web.Response(status=204)

    async def _update_by_search(self, request: web.Request) -> web.StreamResponse:
        resource_type = served_type(request)
        if self._mood.server.conditional == "refused":
            raise FhirError(501, Issue("not-supported", "", "conditional update is not served"))
        resource = await body_of(request)
        check_resource(resource, resource_type)
        existing = self._store.only(resource_type, condition_of(request.rel_url.raw_query_string))
        check_version(request, existing)
        if "id" in resource and (existing is None or resource["id"] != existing["id"]):
            raise FhirError(
                400,
                Issue(
                    "invalid",
                    f"{resource_type}.id",
                    "is not the id of the resource found; leave it out (R4 http 3.1.0.4.3)",
                ),
            )
        identity = existing["id"] if existing else str(uuid.uuid4())
        return await self._answer(request, 200 if existing else 201, self._store.keep(resource, identity))

    @web.middleware
    async def _behave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Apply the manners, and turn every failure into an OperationOutcome."""
        writing = request.method != "GET"
        manners = self.manners
        if manners.fail_next and (writing or manners.reads_too):
            self.manners = replace(manners, fail_next=manners.fail_next - 1)
            self._note(request, manners.status, kept=False)
            return await self._send(request, failure_answer(manners))
        try:
            if not self._mood.token_is_good(request.headers.get("Authorization", "")):
                raise FhirError(401, Issue("login", "", "the token has ended; get another one"))
            most = self._mood.server.max_body_bytes
            if most is not None and (request.content_length or 0) > most:
                raise FhirError(413, Issue("too-long", "", f"no more than {most} bytes are taken"))
            rule = self._mood.rule(request.method, request.path.removeprefix(_BASE).lstrip("/"))
            return await (self._doing[rule.do](rule, request, handler) if rule else handler(request))
        except FhirError as error:
            self._note(request, error.status, kept=False)
            return await self._send(request, outcome_answer(error.status, error.issues))
        except web.HTTPException as error:
            code = {404: "not-found", 405: "not-supported", 413: "too-long"}.get(error.status, "processing")
            self._note(request, error.status, kept=False)
            return await self._send(request, outcome_answer(error.status, [Issue(code, "", error.reason)]))

    # What rules do

    async def _answer_as_told(self, rule: Rule, request: web.Request, _handler: Handler) -> web.StreamResponse:
        assert rule.status is not None
        self._note(request, rule.status, kept=False)
        manners = Manners(status=rule.status, html=rule.html)
        response = failure_answer(manners, code=rule.code, text=rule.text)
        if rule.retry_after is not None:
            at = formatdate(time.time() + rule.retry_after, usegmt=True)
            response.headers["Retry-After"] = at if rule.retry_after_as == "date" else str(rule.retry_after)
        return await self._send(request, response)

    async def _drop_before(self, _rule: Rule, request: web.Request, _handler: Handler) -> web.StreamResponse:
        self._note(request, None, kept=False)
        return abort(request)

    async def _mark(self, rule: Rule, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let it be kept; how it is answered, `_answer` and `_send` see."""
        request[RULE] = rule
        return await handler(request)

    async def _slow(self, rule: Rule, request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(rule.seconds or 0)
        return await handler(request)

    async def _race(self, _rule: Rule, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = await body_of(request)
        if not self._alike(resource):
            self._store.keep({**resource, "id": str(uuid.uuid4()), "description": "by another writer"},
                             str(uuid.uuid4()))  # fmt: skip
        return await handler(request)

    async def _change(self, _rule: Rule, request: web.Request, handler: Handler) -> web.StreamResponse:
        for one in self._alike(await body_of(request)):
            self._store.keep({**one, "description": "changed by another writer"}, str(one["id"]))
        return await handler(request)

    def _alike(self, resource: Resource) -> list[Resource]:
        """What is held under the first identifier of `resource`."""
        [first, *_] = resource.get("identifier") or [{}]
        query = [("identifier", f"{first.get('system', '')}|{first.get('value', '')}")]
        return self._store.matches(str(resource.get("resourceType")), query)

    # Answers

    async def _answer(
        self, request: web.Request, status: int, resource: Resource, *, kept: bool = True
    ) -> web.StreamResponse:
        writing = request.method != "GET"
        rule: Rule | None = request.get(RULE)
        lost = rule is not None and rule.do == "drop_after"
        if lost or (writing and self.manners.drop_next):
            if not lost:
                self.manners = replace(self.manners, drop_next=self.manners.drop_next - 1)
            self._note(request, None, kept=kept)
            return abort(request)
        self._note(request, status, kept=kept)
        response = json_answer(status, resource)
        if version := resource.get("meta", {}).get("versionId"):
            address = f"{self.url}/{resource['resourceType']}/{resource['id']}"
            response.headers["ETag"] = f'W/"{version}"'
            response.headers["Location"] = f"{address}/_history/{version}"
        return await self._send(request, response)

    def _note(self, request: web.Request, status: int | None, *, kept: bool) -> None:
        self.requests[request.method, status] += 1
        if request.method != "GET":
            self.writes.append(Write(request.method, request.path_qs.removeprefix(_BASE), status, kept))

    async def _send(self, request: web.Request, response: web.Response) -> web.StreamResponse:
        rule: Rule | None = request.get(RULE)
        half = rule is not None and rule.do == "half"
        pause = (rule.seconds if rule is not None and rule.do == "slow_body" else None) or self.manners.body_seconds
        body = response.body
        if not (pause or half) or not isinstance(body, bytes):
            return response
        slow = web.StreamResponse(status=response.status, headers=response.headers)
        slow.content_length = len(body)
        await slow.prepare(request)
        await slow.write(body[: len(body) // 2])
        if half:
            abort(request)
            return slow
        await asyncio.sleep(pause)
        await slow.write(body[len(body) // 2 :])
        return slow
