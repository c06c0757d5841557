"""A client of DICOMweb for tests: requests as text, answers as they came."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDictProxy
from pydicom.dataset import Dataset
from yarl import URL

from gateway.assembly import process as app

STEPS = "/modality-scheduled-procedure-steps"
PERFORMED = "/modality-performed-procedure-steps"
JSON, XML = "application/dicom+json", "application/dicom+xml"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def warnings(self) -> list[str]:
        """Without the base URI, whose port is another in each test."""
        return [one.partition("/dicomweb: ")[2] for one in self.headers.getall("Warning", [])]


@dataclass(frozen=True)
class Client:
    session: aiohttp.ClientSession
    base: str

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, accept: str | None = "*/*", **headers: str
    ) -> Answer:
        """`path` is sent as it is written; a header of `content_type` is Content-Type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {} if accept is None else {"Accept": accept}
        url = URL(self.base + path, encoded=True)
        async with self.session.request(
            method, url, data=body, headers=named, skip_auto_headers=("Accept", "Content-Type")
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def search(self, query: str = "", **headers: Any) -> Answer:
        return await self.ask("GET", f"{STEPS}?{query}" if query else STEPS, **headers)

    async def post(self, path: str, body: bytes | Dataset | Mapping[str, Any], content_type: str = JSON) -> Answer:
        if isinstance(body, Dataset):
            body = orjson.dumps(body.to_json_dict())
        sent = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.ask("POST", PERFORMED + path, body=sent, content_type=content_type)

    async def get(self, path: str, **headers: Any) -> Answer:
        return await self.ask("GET", PERFORMED + path, **headers)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@asynccontextmanager
async def client_of(gateway: app.Running, user: str = "", password: str = "") -> AsyncIterator[Client]:
    headers = {"Authorization": basic(user, password)} if user else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Client(session, f"http://127.0.0.1:{gateway.http_port}/dicomweb")
