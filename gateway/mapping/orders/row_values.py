"""The value of one row of `order_to_worklist.yaml`: found, formed by its function, translated, fitted to its VR."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import compress
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydicom.datadict import dictionary_VM

from gateway.errors import GatewayError
from gateway.mapping.language.rows import Codes, Row
from gateway.mapping.language.values import fitter, vr_of
from gateway.mapping.orders.functions import FUNCTIONS, apply
from gateway.mapping.orders.items import items_finisher
from gateway.mapping.orders.paths import compile_leaf, compile_path, keys_of, nested
from gateway.mapping.orders.places import place_of
from gateway.mapping.orders.scope import Repetition, Scope, Value
from gateway.mapping.orders.settings import Settings

RowValue = tuple[Any, str, str]
"""What a row gives: its value (text, list of texts or list of items; '' for nothing, None for an explicit null), the
path that had it, and a remark."""
NOTHING: Final[RowValue] = ("", "", "")
Reader = Callable[[Scope], Any]
"""Gives '' or [] for nothing, None for an explicit null."""
Finish = Callable[[Any], tuple[Any, str]]
"""Translates what was read, fits it to the VR, and tells what was lost on the way."""
RECURRING: Final = 512
"""Fields, for each path of a row, whose values are remembered."""
RECURRING_CHARACTERS: Final = 256
"""Of a field whose value is remembered."""
_NO_SETTINGS: Final = Settings(ZoneInfo("UTC"))
_OURS: Final = ("site.", "source.", "MSH-")
"""How a path begins whose value is not the message's word on the order."""
_FIT: Final = frozenset({"DA", "TM"})
"""What only functions give, in the form that fits."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRow:
    """A row, ready to be applied. Compared by identity."""

    row: Row
    sources: tuple[tuple[str, Reader, Finish], ...]
    """Each path with what reads it, and what makes the value of what was read."""
    finish: Finish
    """What makes the value of what the row's function gives."""
    vr: str
    ours: frozenset[str]
    """The sources whose value is ours, because the message has none."""
    needs: tuple[frozenset[str] | None, ...]
    """For each path the keys of `Scope.stated_keys` without which it gives nothing; None: it may give a value."""

    @classmethod
    def of(cls, row: Row, codes: Codes | None) -> CompiledRow:
        finish = _finisher(row, codes)
        return cls(
            row=row,
            sources=tuple((path, *_source(path, row, finish)) for path in row.sources),
            finish=finish,
            vr=vr_of(row.target),
            ours=frozenset({"default", derived_by(row), *(path for path in row.sources if path.startswith(_OURS))}),
            needs=tuple(keys_of([path]) for path in row.sources),
        )

    def within(self, stated_keys: frozenset[str]) -> CompiledRow:
        """The row with those of its paths that can give a value in a message of these fields."""
        may_give = [needs is None or not needs.isdisjoint(stated_keys) for needs in self.needs]
        return _with_paths(self, tuple(compress(self.sources, may_give)))


@lru_cache(maxsize=1024)
def _with_paths(row: CompiledRow, sources: tuple[tuple[str, Reader, Finish], ...]) -> CompiledRow:
    return replace(row, sources=sources, needs=())


def derived_by(row: Row) -> str:
    """The source of a value that the row's derivation gave."""
    return f"derived ({row.otherwise})"


def _source(path: str, row: Row, finish: Finish) -> tuple[Reader, Finish]:
    name = row.function or "text"
    look: Reader | None = compile_leaf(path)
    if look is not None and name == "text":
        return look, finish
    entry = FUNCTIONS[name]
    if entry.recurs:
        return compile_path(path, tuple), _remembering(entry.function, finish)
    function: Callable[[Any, Settings], Any] = entry.function
    if look is None or not entry.of_leaf:
        look, function = compile_path(path), partial(apply, entry) if entry.of_leaf else entry.function

    def read(scope: Scope) -> Any:
        found = look(scope)
        return function(found, scope.settings) if found else found

    return read, finish


def _remembering(function: Callable[[Any, Settings], Any], finish: Finish) -> Finish:
    """What makes the value of what was read: of the same undivided components once. Nobody changes a value in place."""

    def of_value(value: Value) -> tuple[Any, str]:
        raw = function(value, _NO_SETTINGS)
        return finish(raw) if raw else NOTHING[:2]

    remembered = lru_cache(maxsize=RECURRING)(lambda components: of_value(nested(components)))

    def finished(found: tuple[str, ...] | Value) -> tuple[Any, str]:
        if isinstance(found, list):
            return of_value(found)
        is_short = sum(map(len, found)) <= RECURRING_CHARACTERS
        return remembered(found) if is_short else of_value(nested(found))

    return finished


def value_of(compiled: CompiledRow, scope: Scope, faults: list[GatewayError]) -> RowValue:
    """The value at the first path that has a value that can be used.

    A null says "nothing": the other paths are still asked, and only when none has a value is the answer null. A value
    that cannot be used is added to `faults`, with the path as its place, and the other paths are asked as well.
    """
    null = NOTHING
    for path, read, finish in compiled.sources:
        try:
            raw = read(scope)
            if raw:
                value, remark = finish(raw)
                if value:
                    return value, path, remark
        except GatewayError as error:
            error.place = error.place or place_of(path)
            faults.append(error)
            continue
        if raw is None:
            null = None, path, "explicit null"
    return null


def default_of(compiled: CompiledRow, settings: Settings) -> RowValue:
    """The row's default, read as if a field had held it. Raises `GatewayError` if it does not fit."""
    raw = apply(FUNCTIONS[compiled.row.function or "text"], _field(compiled.row.default), settings)
    value, remark = compiled.finish(raw) if raw else NOTHING[:2]
    return value or "", "default", remark


def _field(written: str) -> Value:
    components: Repetition = [[component] for component in written.split("^")]
    return [components]


def _finisher(row: Row, codes: Codes | None) -> Callable[[Any], tuple[Any, str]]:
    """What translates by the row's code table and fits to its VR."""
    vr = vr_of(row.target)
    if vr == "SQ":
        return items_finisher(codes)
    if vr in _FIT:
        return lambda text: (text, "")
    fitted, single = fitter(vr, row.too_long), dictionary_VM(row.target) == "1"

    def finish_list(values: list[str]) -> tuple[str | list[str], str]:
        meant, remark = _translate(codes, values) if codes else (values, "")
        fits = [fitted(one) for one in meant]
        texts = [text for text, _ in fits if text]
        remarks = [remark, *(more for _, more in fits)]
        if len(texts) > 1 and single:
            remarks.append(f"the first of {len(texts)} values")
            texts = texts[:1]
        return texts if len(texts) > 1 else "".join(texts), "; ".join(filter(None, remarks))

    if row.function and FUNCTIONS[row.function].is_list:
        return finish_list
    if codes is None:
        return fitted
    finished = {}
    for code in codes.codes:
        # What does not fit, the dialect names when the file is read.
        with suppress(GatewayError):
            finished[code] = finish_list([code])
    return lambda code: finished.get(code) or finish_list([code])


def _translate(codes: Codes, sent: list[str]) -> tuple[list[str], str]:
    written, changed = [], []
    for code in sent:
        meant = codes.translate(code)
        if meant is None:
            meant = code if codes.unknown == "keep" else ""
        written.append(meant)
        if meant != code:
            changed.append(f"{code} -> {meant or '(empty)'}")
    return written, f"table {codes.table}: {', '.join(changed)}" if changed else ""
