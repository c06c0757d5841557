"""JSON that is long (RFC 8259): read so that others can compute meanwhile, which orjson lets nobody do."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from gateway.errors import TooLarge
from gateway.long_work import pause

MAX_VALUES: Final = 2_000_000
"""A performed step of a hundred thousand images has a quarter of that."""


def loads(body: bytes) -> Any:
    """What orjson reads, but that a number may have any size, and a text half of a surrogate pair.

    Raises `ValueError`, or `TooLarge` for more values than any data set has.
    """
    if body.count(b",") >= MAX_VALUES:
        raise TooLarge(f"more than {MAX_VALUES} values", place="body")
    try:
        return _DECODER.decode(body.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    pause()
    return dict(members)


def _whole(text: str) -> int:
    pause()
    return int(text)


def _fraction(text: str) -> float:
    pause()
    return float(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_no_number
)
