"""The answer to a search (PS3.18 8.3.4, 10.6, 14.4): its results, and what was not done or is left behind the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from aiohttp import hdrs, web

from gateway.web.dicomweb.context import base_uri
from gateway.web.dicomweb.representations import results
from gateway.wire.dicomweb import warnings
from gateway.wire.dicomweb.dataset import CHARACTER_SET, UTF_8
from gateway.wire.dicomweb.media_types import MediaType
from gateway.wire.dicomweb.search import Path, Search
from gateway.worklist.items import Element, Item

_CHARACTER_SET: Final = Element(CHARACTER_SET, "CS", "SpecificCharacterSet", (UTF_8,))


def search_response(
    request: web.Request,
    asked: Search,
    media_type: MediaType,
    written: Sequence[bytes],
    remaining: int,
    also: Sequence[str] = (),
) -> web.Response:
    """200 with the results, 204 without. `also`: texts of more warnings."""
    response = results(media_type, written) if written else web.Response(status=204)
    base = base_uri(request)
    for text in (*_warnings(asked, remaining if written else 0), *also):
        response.headers.add(hdrs.WARNING, warnings.warning(base, text))
    return response


def _warnings(asked: Search, remaining: int) -> Iterator[str]:
    if asked.empty_value:
        yield warnings.EMPTY_VALUE
    if asked.multiple_value:
        yield warnings.MULTIPLE_VALUE
    if remaining:
        yield warnings.additional(remaining)


def in_utf_8(result: dict[int, Element]) -> Item:
    """A result that names its character set where a text is not ASCII."""
    if any(element.foreign for element in result.values()):
        result[CHARACTER_SET] = _CHARACTER_SET
    return result


def paths_of(keys: Item) -> Iterator[Path]:
    """The attributes of a query or of a rule, those of items too."""
    for tag, element in keys.items():
        inner = element.items[0] if element.items else {}
        if inner:
            yield from ((tag, *path) for path in paths_of(inner))
        else:
            yield (tag,)
