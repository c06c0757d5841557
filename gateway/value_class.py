"""Value classes: dataclasses that nobody changes, made without the price of Python's own `frozen`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(cls: type[T]) -> type[T]:
    """A dataclass with slots, compared and hashed by its fields, that the type checker takes for frozen.

    For values that are made for every message. With `frozen`, which also guards at run time, `__init__` sets each field
    by a call of `object.__setattr__`: 15 times the time for a class of 19 fields.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
