"""The body of a form (`application/x-www-form-urlencoded`), which somebody without a login may have sent."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from gateway.errors import InvalidValue

FORM: Final = "application/x-www-form-urlencoded"
LONGEST_NAME: Final = 64
_CHARACTER_SETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "iso-8859-1"})
"""No other is decoded: some of Python's take minutes for a body as long as ours may be (punycode)."""


async def posted(request: web.Request) -> MultiMapping[Any]:
    """The fields of a form.

    Raises `InvalidValue` for a character set that forms do not come in, for bytes that are not of it, and for a field
    with a name that none of ours has.
    """
    if (request.charset or "utf-8").lower() not in _CHARACTER_SETS:
        raise InvalidValue("send the form in UTF-8", place="Content-Type")
    try:
        fields = await request.post()
    except UnicodeDecodeError as error:
        raise InvalidValue("the body is not in the character set that it names", place="Content-Type") from error
    for name in fields:
        # It would come back with the error, three times as long.
        if len(name) > LONGEST_NAME:
            raise InvalidValue("no such parameter", place=name[:LONGEST_NAME])
    return fields
