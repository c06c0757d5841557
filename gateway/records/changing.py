"""A frozen value with some of its fields changed, for what is done with every message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, cast

T = TypeVar("T")


def with_changes(value: T, **changes: Any) -> T:
    """As `dataclasses.replace`, which looks at each field of the class anew each time: of a class of several fields,
    each of which its constructor takes. Raises `TypeError` for a field that there is not."""
    kind: Any = type(value)
    names, held = _fields_of(kind)
    return cast(T, kind(**(dict(zip(names, held(value), strict=True)) | changes)))


@cache
def _fields_of(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names)
