"""The console's style and scripts, read at import: the event loop never waits for the disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from gateway.errors import UnknownKey
from gateway.web.requests import RequestParameters, Words
from gateway.web.routes import Route, RouteContext

FOLDER: Final = Path(__file__).with_name("static")
MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".txt": "text/plain"}
FILES: Final = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}
_VERSIONS: Final = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in FILES.items()}


class StaticParameters(RequestParameters):
    name: Words
    v: Annotated[Words, Field(description="Version: a browser keeps what it got under this address")] = ""


def address(name: str) -> str:
    """The path of a file, with its version: another content has another address."""
    return f"/static/{name}?v={_VERSIONS[name]}"


async def show_static(_context: RouteContext, parameters: StaticParameters) -> web.Response:
    """A file of the console: style, script or licence."""
    content = FILES.get(parameters.name)
    if content is None:
        raise UnknownKey("there is no such file", place="name")
    headers = {"Cache-Control": "private, max-age=31536000, immutable"} if parameters.v else {}
    kind = MEDIA_TYPES[Path(parameters.name).suffix]
    return web.Response(body=content, content_type=kind, charset="utf-8", headers=headers)


# Open: the page for a login has a style too.
ROUTES: Final = (Route("GET", "/static/{name}", show_static, "text/plain", StaticParameters, (404,), open=True),)
