"""Searches of the worklist over the web, on one connection that is kept open."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

SEARCH = "/dicomweb/modality-scheduled-procedure-steps"


class Answered(NamedTuple):
    """The results of a search, and the seconds from the request to the last byte."""

    matches: int
    seconds: float


class Searches:
    """A client of one gateway."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def search(self, query: str) -> Answered:
        began = time.perf_counter()
        self._connection.request("GET", f"{SEARCH}?{query}", headers={"Accept": "application/dicom+json"})
        answer = self._connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - began
        if answer.status != http.client.OK:
            raise RuntimeError(f"answered {answer.status}: {body[:200]!r}")
        # Each result has one of these.
        return Answered(body.count(b'"00400009"'), seconds)


@contextmanager
def connected(port: int) -> Iterator[Searches]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield Searches(connection)
    finally:
        connection.close()
