"""Items of a sequence: codes translated by a table, values fitted to their VRs, also of sequences within."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from gateway.errors import GatewayError, InvalidValue
from gateway.mapping.language.rows import Codes
from gateway.mapping.language.values import fitter, vr_of

Item = dict[str, Any]

_CODES: Final = ("CodeValue", "LongCodeValue")
_SHORT: Final = 16
"""Characters of a Code Value (SH)."""
_TEXTS: Final = frozenset({"LT", "ST", "UT"})


def items_finisher(codes: Codes | None) -> Callable[[list[Item]], tuple[list[Item], str]]:
    """What fits the items of a sequence, and remarks on those that do not fit.

    Meanings and comments are cut. An item of which anything else does not fit is left out whole, with its reason in the
    remark, and where no other is left that reason is raised (`GatewayError`). An item whose code the table translates
    to nothing is left out without a remark.
    """

    def finish(items: list[Item]) -> tuple[list[Item], str]:
        fitted: list[Item] = []
        faults: list[GatewayError] = []
        for item in items:
            try:
                if kept := _fitted(item, codes):
                    fitted.append(kept)
            except GatewayError as error:
                faults.append(error)
        if faults and not fitted:
            raise faults[0]
        return fitted, "; ".join(f"an item was left out: {error.message}" for error in faults)

    return finish


def coded(written: str) -> Item | None:
    """`code|scheme|meaning` of a code table as a code item (PS3.3 8.8); None for another form. Raises `ValueTooLong`
    and `InvalidValue` for what the attributes cannot hold."""
    code, _, rest = written.partition("|")
    scheme, _, meaning = rest.partition("|")
    if not (code and scheme and meaning):
        return None
    kind = "CodeValue" if len(code) <= _SHORT else "LongCodeValue"
    return _fitted({kind: code, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}, None)


def _fitted(item: Item, codes: Codes | None) -> Item:
    """The item, or {} for one that says nothing. Raises `GatewayError` for what makes it another statement."""
    code = "" if codes is None else next((str(item[one]) for one in _CODES if one in item), "")
    if codes is not None and code:
        meant = codes.translate(code)
        if meant == "" or (meant is None and codes.unknown == "empty"):
            return {}
        if meant:
            item = coded(meant) or item
    result: Item = {}
    for keyword, value in item.items():
        result[keyword] = _items_within(keyword, value, codes) if isinstance(value, list) else _fit(keyword)(value)[0]
    return {} if "" in result.values() or [] in result.values() else result


def _items_within(keyword: str, items: list[Item], codes: Codes | None) -> list[Item]:
    if not items:
        raise InvalidValue(f"{keyword} has no code")
    return [kept for item in items if (kept := _fitted(item, codes))]


@lru_cache(maxsize=64)
def _fit(keyword: str) -> Callable[[str], tuple[str, str]]:
    vr = vr_of(keyword)
    return fitter(vr, "cut" if keyword == "CodeMeaning" or vr in _TEXTS else "reject")
