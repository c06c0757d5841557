"""The query parameters of a search (PS3.18 8.3.4): what is to match, what is to be returned, and which page of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import InvalidValue
from gateway.wire.dicomweb.dataset import Attribute, Dataset, tag_named, vr_of

Path = tuple[int, ...]
"""An attribute inside the items of sequences: the tags on the way, its own last."""

ALL: Final = "all"
_MOST_DIGITS: Final = 9
_NUMBER: Final = re.compile(rf"\d{{1,{_MOST_DIGITS}}}", re.ASCII)
_ONE_VALUE: Final = frozenset({"LT", "ST", "UR", "UT"})
_UNFIT: Final = re.compile(r"[\0\ud800-\udfff]")
"""No attribute holds these; a database would refuse them."""


@dataclass(frozen=True, slots=True)
class Search:
    """The query parameters of a search; parameters that are not served are left out (8.3)."""

    keys: Dataset = field(default_factory=dict)
    """What is to match: attributes with values; sequences hold one item."""
    fields: tuple[Path, ...] = ()
    """What is to be returned beside the attributes that always are."""
    all_fields: bool = False
    fuzzy: bool = False
    empty_value: bool = False
    multiple_value: bool = False
    offset: int = 0
    limit: int | None = None


def _truth(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise InvalidValue("is true or false", place=name)
    return value == "true"


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise InvalidValue(f"is a whole number of at most {_MOST_DIGITS} digits", place=name)
    return int(value)


OPTIONS: Final[dict[str, tuple[str, Callable[[str, str], Any]]]] = {
    "fuzzymatching": ("fuzzy", _truth),
    "emptyvaluematching": ("empty_value", _truth),
    "multiplevaluematching": ("multiple_value", _truth),
    "offset": ("offset", _number),
    "limit": ("limit", _number),
}
"""Query parameters of one value -> the field of `Search`, and what reads the value."""
INCLUDE: Final = "includefield"
MATCH: Final = "{attribute}"
"""How documents write the parameter whose name is the path of an attribute."""
PARAMETERS: Final = (MATCH, INCLUDE, *OPTIONS)


def read(parameters: Iterable[tuple[str, str]]) -> Search:
    """Raises `InvalidValue` with the name of a parameter that is served and cannot be read, or that stands twice."""
    options: dict[str, Any] = {}
    keys: dict[Path, str] = {}
    fields: list[str] = []
    for name, value in parameters:
        if name == INCLUDE:
            fields += [one.strip() for one in value.split(",") if one.strip()]
        elif name in OPTIONS:
            key, read_value = OPTIONS[name]
            if key in options:
                raise InvalidValue("give it once", place=name)
            options[key] = read_value(name, value)
        elif (path := path_of(name)) is not None:
            if path in keys:
                raise InvalidValue("give an attribute once", place=name)
            if _UNFIT.search(value):
                raise InvalidValue("holds a character that no attribute holds", place=name)
            keys[path] = value
    included, includes_all = included_fields(fields)
    return Search(keys=_nested(keys), fields=included, all_fields=includes_all, **options)


def included_fields(fields: Iterable[str]) -> tuple[tuple[Path, ...], bool]:
    """The attributes that `includefield` names, and whether it says `all`. Raises `InvalidValue`."""
    names = list(fields)
    if ALL in names and set(names) != {ALL}:
        raise InvalidValue("all stands alone (PS3.18 8.3.4.3)", place=INCLUDE)
    paths = (path_of(name) for name in names if name != ALL)
    return tuple(path for path in paths if path is not None), ALL in names


def path_of(attribute: str) -> Path | None:
    """The path that an attribute names: tags and keywords, joined by dots; None for what PS3.6 does not have, and for
    a way that leads through no sequence."""
    tags = [tag_named(one) for one in attribute.split(".")]
    path = tuple(tag for tag in tags if tag is not None and vr_of(tag) != "UN")
    if len(path) < len(tags) or any(vr_of(tag) != "SQ" for tag in path[:-1]):
        return None
    return path


def _nested(keys: Mapping[Path, str]) -> dict[int, Attribute]:
    made: dict[int, Attribute] = {}
    for tag in dict.fromkeys(path[0] for path in keys):
        inside = {path[1:]: value for path, value in keys.items() if path[0] == tag and len(path) > 1}
        if inside:
            made[tag] = Attribute(tag, "SQ", items=(_nested(inside),))
        else:
            made[tag] = _key(tag, keys[(tag,)])
    return made


def _key(tag: int, value: str) -> Attribute:
    vr = vr_of(tag)
    if vr == "SQ" and value:
        raise InvalidValue("a sequence is asked for by the attributes of its items", place=f"{tag:08X}")
    if vr == "SQ" or not value:
        return Attribute(tag, vr)
    separators = r"[\\,]" if vr == "UI" else r"\\"
    values = (value,) if vr in _ONE_VALUE else re.split(separators, value)
    return Attribute(tag, vr, tuple(one.strip() for one in values))
