"""An archive with QIDO-RS and WADO-RS metadata, which keeps to the standard as far as a test lets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass(frozen=True)
class HeldStudy:
    uid: str
    day: str
    """YYYYMMDD."""
    instances: int = 1
    modality: str = "CT"
    patient: str = "DOE^JANE"


@dataclass
class QidoArchive:
    url: str = ""
    held: list[HeldStudy] = field(default_factory=list)
    most: int = 1000
    """So many studies it gives at once."""
    ignores_offset: bool = False
    ignores_limit: bool = False
    ignores_keys: bool = False
    has_counts: bool = True
    has_warnings: bool = False
    """It states that there are more results (Warning 299)."""
    nothing: Callable[[], web.Response] = lambda: web.Response(status=204)
    """What it answers where it finds nothing."""
    refuses_fields: bool = False
    """400 to a request with includefield."""
    login: str = ""
    """The header Authorization without which it answers 401; empty: it needs none."""
    next_answers: list[web.Response] = field(default_factory=list)
    """To the next requests, in place of its own."""
    queries: list[dict[str, str]] = field(default_factory=list)
    """Parameters of each search."""
    retrieved: list[str] = field(default_factory=list)
    """Study Instance UID of each request for metadata."""
    on_query: Callable[[], None] = lambda: None
    """Called before each search is answered."""
    metadata: dict[str, Callable[[], web.Response]] = field(default_factory=dict)
    """Study Instance UID -> its metadata, where a test says so."""

    async def _search(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.queries.append(query)
        self.on_query()
        if self.login and request.headers.get("Authorization") != self.login:
            return web.Response(status=401)
        if self.next_answers:
            return self.next_answers.pop(0)
        if self.refuses_fields and "includefield" in query:
            return web.Response(status=400)
        first, _, last = query.get("StudyDate", "-").partition("-")
        found = [one for one in self.held if self.ignores_keys or (first or "0") <= one.day <= (last or "9")]
        offset = 0 if self.ignores_offset else int(query.get("offset", 0))
        limit = len(found) if self.ignores_limit else min(int(query.get("limit", self.most)), self.most)
        page, left = found[offset : offset + limit], len(found) - offset - limit
        if not page:
            return self.nothing()
        headers = {}
        if self.has_warnings and left > 0:
            headers["Warning"] = f"299 {self.url}: There are {left} additional results that can be requested"
        return json([self._result(one) for one in page], headers=headers)

    def _result(self, study: HeldStudy) -> dict[str, Any]:
        counts = {
            # As text, and without a VR: both are written by archives.
            "00201206": {"vr": "IS", "Value": ["1"]},
            "00201208": {"Value": [str(study.instances)]},
        }
        return {
            "00080020": {"vr": "DA", "Value": [study.day]},
            "00080061": {"vr": "CS", "Value": [study.modality]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": study.patient}, None]},
            "00100020": None,
            "0020000D": {"vr": "UI", "Value": [study.uid]},
            **(counts if self.has_counts else {}),
        }

    async def _below(self, request: web.Request) -> web.Response:
        """Series or instances of a study, a page at a time."""
        held = [one for one in self.held if one.uid == request.match_info["study"]]
        made = [instance_of(one, number) for one in held for number in range(one.instances)]
        series = {"00080060", "0020000E"}
        if request.match_info["level"] == "series":
            found = [{tag: one for tag, one in each.items() if tag in series} for each in made[:1]]
        else:
            found = [{tag: one for tag, one in each.items() if tag not in series - {"0020000E"}} for each in made]
        offset = 0 if self.ignores_offset else int(request.query["offset"])
        page = found[offset : offset + min(int(request.query["limit"]), self.most)]
        return json(page) if page else self.nothing()

    async def _metadata(self, request: web.Request) -> web.Response:
        uid = request.match_info["study"]
        self.retrieved.append(uid)
        if uid in self.metadata:
            return self.metadata[uid]()
        held = [one for one in self.held if one.uid == uid]
        return json([instance_of(one, number) for one in held for number in range(one.instances)])


def json(content: Any, **values: Any) -> web.Response:
    return web.Response(body=orjson.dumps(content), content_type="application/dicom+json", **values)


def instance_of(study: HeldStudy, number: int) -> dict[str, Any]:
    """An instance as WADO-RS metadata has it."""
    texts = {
        "00080016": ("UI", "1.2.840.10008.5.1.4.1.1.2"),
        "00080018": ("UI", f"{study.uid}.1.{number}"),
        "00080020": ("DA", study.day),
        "00080060": ("CS", study.modality),
        "00100020": ("LO", f"P{study.uid}"),
        "0020000D": ("UI", study.uid),
        "0020000E": ("UI", f"{study.uid}.1"),
    }
    attributes: dict[str, Any] = {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in texts.items()}
    return {**attributes, "7FE00010": {"vr": "OW", "BulkDataURI": "bulk"}}


@asynccontextmanager
async def qido_archive(*, tls: ssl.SSLContext | None = None, **values: Any) -> AsyncIterator[QidoArchive]:
    """It listens on a free port; `url` is its DICOMweb base address."""
    archive = QidoArchive(**values)
    application = web.Application()
    application.router.add_get("/dicom-web/studies", archive._search)
    application.router.add_get("/dicom-web/studies/{study}/metadata", archive._metadata)
    application.router.add_get("/dicom-web/studies/{study}/{level:series|instances}", archive._below)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        archive.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/dicom-web"
        yield archive
    finally:
        await runner.cleanup()
