"""A search that is read page by page (R4 http 3.1.0.5.1, search 3.1.1.5.5)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any, Final

from gateway.errors import NeedsPerson
from gateway.wire.fhir.answer import Resource
from gateway.wire.fhir.client import FhirClient

Tried = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
MOST_PAGES: Final = 20_000


async def pages(client: FhirClient, kind: str, query: str, tried: Tried) -> AsyncGenerator[list[Resource]]:
    """The resources of type `kind` that a search finds, page after page; `tried` asks for a page, once or more often.

    Raises `NeedsPerson` when the server repeats a page, or never comes to an end; and what `FhirClient` raises.
    """
    path: str | None = f"{kind}?{query}"
    seen: set[str] = set()
    for _ in range(MOST_PAGES):
        if path is None:
            return
        bundle = await tried(partial(client.bundle, path))
        found = [one["resource"] for one in bundle.get("entry") or () if _kind(one) == kind]
        ids = {str(one.get("id")) for one in found}
        if ids and ids <= seen:
            raise NeedsPerson(
                "the server gives the same page again: its search cannot be read to the end",
                place=f"{client.base}/{kind}",
            )
        seen |= ids
        yield found
        path = _next(bundle)
    if path is not None:
        raise NeedsPerson(f"a search has more than {MOST_PAGES} pages", place=f"{client.base}/{kind}")


def _kind(entry: dict[str, Any]) -> str:
    return str((entry.get("resource") or {}).get("resourceType") or "")


def _next(bundle: Resource) -> str | None:
    links = (one.get("url") for one in bundle.get("link") or () if one.get("relation") == "next")
    return next((str(url) for url in links if url), None)
