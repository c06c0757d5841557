"""What most rows of the mapping give in most messages, with all decided beforehand that the fields of a message decide.

A reader of this module looks into the field of a row's first path. It gives the value of the row, '' where the row has
none, and None where the message is not as simple: then `row_values.value_of` reads the row from the beginning. So a
reader never refuses, remarks or falls back on another path.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gateway.errors import GatewayError
from gateway.mapping.language.values import clean_length
from gateway.mapping.orders.functions import FUNCTIONS, text
from gateway.mapping.orders.paths import field_path, nested
from gateway.mapping.orders.row_values import CompiledRow, Finish
from gateway.mapping.orders.scope import FieldPath, Scope
from gateway.mapping.orders.settings import Settings

AtOnce = Callable[[Scope], Any]


def never(_scope: Scope) -> Any:
    """The reader of a row that is always read from the beginning."""
    return None


@lru_cache(maxsize=1024)
def at_once(compiled: CompiledRow) -> tuple[AtOnce, FieldPath | None]:
    """The reader of a row, whose paths are those that can give a value in the message (`CompiledRow.within`), and the
    field that must be in `Scope.split` for it."""
    path, _, finish = compiled.sources[0] if compiled.sources else ("", never, None)
    field = field_path(path)
    if finish is None or field is None or path in compiled.ours:
        return never, None
    entry = FUNCTIONS[compiled.row.function or "text"]
    nothing = "" if len(compiled.sources) == 1 else None
    if entry.recurs:
        return _recurring(field, finish, nothing), field
    if entry.of_leaf:
        return _of_leaf(field, entry.function, finish, nothing), field
    if entry.function is text:
        return _text(field, finish, 0 if compiled.row.table else clean_length(compiled.vr), nothing), field
    return _of_value(field, entry.function, finish, nothing), field


def _text(field: FieldPath, finish: Finish, clean: int, nothing: str | None) -> AtOnce:
    """clean: letters and digits, so many at most, fit as they are."""
    key, place = field.key, field.components.start

    def of_text(scope: Scope) -> Any:
        components = scope.split[key]
        if place >= len(components):
            return nothing if components else None
        written = components[place]
        if written.isalnum() and len(written) <= clean:
            return written
        try:
            return finish(written)[0] or nothing if written else nothing
        except GatewayError:
            return None

    return of_text


def _of_leaf(field: FieldPath, function: Callable[[str, Settings], str], finish: Finish, nothing: str | None) -> AtOnce:
    key, place = field.key, field.components.start

    def of_leaf(scope: Scope) -> Any:
        components = scope.split[key]
        if place >= len(components) or not components[place]:
            return nothing if components else None
        try:
            return finish(function(components[place], scope.settings))[0] or nothing
        except GatewayError:
            return None

    return of_leaf


def _recurring(field: FieldPath, finish: Finish, nothing: str | None) -> AtOnce:
    """Of a function whose results `finish` remembers."""
    key, flat = field.key, field.components

    def recurring(scope: Scope) -> Any:
        components = scope.split[key]
        if not components:
            return None
        try:
            value, remark = finish(tuple(components[flat]))
        except GatewayError:
            return None
        return None if remark else value or nothing

    return recurring


def _of_value(field: FieldPath, function: Callable[..., Any], finish: Finish, nothing: str | None) -> AtOnce:
    key, flat = field.key, field.components

    def of_value(scope: Scope) -> Any:
        components = scope.split[key]
        if not components:
            return None
        narrowed = components[flat]
        if not any(narrowed):
            return nothing
        try:
            raw = function(nested(narrowed), scope.settings)
            if not raw:
                return None if raw is None else nothing
            value, remark = finish(raw)
        except GatewayError:
            return None
        return None if remark else value or nothing

    return of_value
