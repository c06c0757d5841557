# Long: all search parameters are read in one sequence.
"""What a search asks for, read from its parameters (FHIR R4 search, 3.1.1)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final, Literal, get_args

import orjson

from gateway.errors import InvalidValue
from gateway.mapping.studies.dates import period_of
from gateway.records.search import Compared, Prefix, SearchParameters, TokenAsked
from gateway.web.facade.parameters import INCLUDE, NO_EFFECT, PARAMETERS, RESULT
from gateway.web.failures import NotAcceptable

Summary = Literal["false", "true", "count", "data", "text"]
MOST: Final = 500
DEFAULT: Final = 50
MOST_CRITERIA: Final = 30
MOST_ALTERNATIVES: Final = 200
LARGEST: Final = 2**63


@dataclass(frozen=True, slots=True)
class ImagingStudySearch:
    """A search of ImagingStudy: what it looks for and how its answer is to be given."""

    question: SearchParameters
    used: tuple[tuple[str, str], ...]
    """The parameters that were heeded, for the `self` link."""
    ignored: tuple[str, ...] = ()
    summary: Summary = "false"
    elements: frozenset[str] = field(default_factory=frozenset)
    include_endpoints: bool = False
    total: str = "estimate"
    """`none`, `accurate`, or anything else: counted where there are not very many."""


def read(parameters: Sequence[tuple[str, str]], zone: tzinfo) -> ImagingStudySearch:
    """Raises `InvalidValue` for what cannot be answered; parameters that are not known are named in `ignored`."""
    criteria: dict[str, list[Any]] = {"ids": [], "tokens": [], "started": [], "last_updated": []}
    results: dict[str, str] = {}
    used, ignored = [], []
    if len(parameters) > MOST_CRITERIA:
        raise InvalidValue(f"no more than {MOST_CRITERIA} parameters are looked at in one search")
    for written, value in parameters:
        name, by_identifier = _name(written)
        if "\0" in value:
            raise InvalidValue("has a control character", place=written)
        if _has_no_effect(name, value):
            continue
        if name in RESULT:
            results[name] = value
        elif name not in PARAMETERS:
            ignored.append(written)
            continue
        else:
            _criterion(criteria, name, by_identifier, value, written, zone)
        used.append((written, value))
    count, summary = _count(results.get("_count", "")), _summary(results.get("_summary", "false"))
    sort, descending = _sort(results.get("_sort", ""))
    check_format(results.get("_format", "json"))
    if results.get("_include", INCLUDE) not in (INCLUDE, "ImagingStudy:endpoint:Endpoint", "*"):
        raise InvalidValue(f"{results['_include']!r} cannot be included, only {INCLUDE}", place="_include")
    if not sort:
        # The order in which an index finds them.
        sort = "_lastUpdated" if criteria["last_updated"] else "started" if criteria["started"] else ""
    question = SearchParameters(
        **{name: tuple(values) for name, values in criteria.items()},
        sort=sort,
        descending=descending,
        count=count,
        after=_after(results.get("_page", "")),
    )
    return ImagingStudySearch(
        question,
        tuple(parameter for parameter in used if parameter[0] != "_page"),
        tuple(ignored),
        "count" if count == 0 else summary,
        frozenset(name.strip() for name in results.get("_elements", "").split(",") if name.strip()),
        "_include" in results,
        results.get("_total", "estimate"),
    )


def _has_no_effect(name: str, value: str) -> bool:
    values = NO_EFFECT.get(name, frozenset())
    return values is None or value in values


def _name(written: str) -> tuple[str, bool]:
    """(parameter, by identifier) of `patient:identifier`, `patient.identifier` and plain names."""
    name, mark, rest = re.match(r"([^:.]*)([:.]?)(.*)", written, re.DOTALL).groups()  # type: ignore[union-attr]
    if not mark or name not in PARAMETERS:
        return written, False
    reference = PARAMETERS[name].kind == "reference"
    if reference and (rest == "identifier" or (mark == ":" and rest == "Patient.identifier" and name != "basedon")):
        return name, True
    what = "modifier" if mark == ":" else "chain"
    raise InvalidValue(f"the {what} {mark + rest!r} is not served", place=written)


def _criterion(
    criteria: dict[str, list[Any]], name: str, by_identifier: bool, value: str, written: str, zone: tzinfo
) -> None:
    parameter, alternatives = PARAMETERS[name], list(_split(value, ","))
    if not value:
        raise InvalidValue("has no value; leave it out to ask for all", place=written)
    if len(alternatives) > MOST_ALTERNATIVES:
        raise InvalidValue(f"has more than {MOST_ALTERNATIVES} alternatives", place=written)
    if parameter.kind == "reference" and not by_identifier:
        raise InvalidValue(
            f"resources of this type are not held here, they are known by identifier: {name}:identifier=system|value",
            place=written,
        )
    if parameter.kind == "date":
        dates = tuple(_date(value, written, zone) for value in alternatives)
        criteria["started" if name == "started" else "last_updated"].append(dates)
    elif name == "_id":
        criteria["ids"].append(tuple(_plain(value) for value in alternatives))
    else:
        criteria["tokens"].append((parameter.column or name, tuple(_token(value, written) for value in alternatives)))


def _split(value: str, by: str) -> Iterator[str]:
    """Parts between separators that no backslash stands before; escapes stay."""
    part, escaped = "", False
    for character in value:
        if character == by and not escaped:
            yield part
            part = ""
        else:
            part += character
        escaped = character == "\\" and not escaped
    yield part


def _plain(written: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", written)


def _token(written: str, place: str) -> TokenAsked:
    parts = [_plain(part) for part in _split(written, "|")]
    if len(parts) > 2 or not any(parts):
        raise InvalidValue(f"{written!r} is no token; write system|value, value, |value or system|", place=place)
    if len(parts) == 1:
        return TokenAsked(None, parts[0])
    return TokenAsked(parts[0], parts[1] or None)


def _date(written: str, place: str, zone: tzinfo) -> Compared:
    prefix: Prefix = "eq"
    if written[:2] in get_args(Prefix):
        prefix, written = written[:2], written[2:]  # type: ignore[assignment]
    elif written[:2] == "ap":
        raise InvalidValue("the prefix 'ap' is not served: what is about a date is for the asker to say", place=place)
    try:
        return Compared(prefix, period_of(written, zone))
    except InvalidValue as error:
        # A '+' that was not encoded arrives as a space.
        hint = "; write + as %2B" if " " in written else ""
        raise InvalidValue(f"{error.message}{hint}", place=place) from error


def _count(written: str) -> int:
    if not written:
        return DEFAULT
    if not re.fullmatch(r"\d{1,9}", written, re.ASCII):
        raise InvalidValue(f"{written!r} is not a number of resources", place="_count")
    return min(int(written), MOST)


def _summary(written: str) -> Summary:
    if written not in get_args(Summary):
        raise InvalidValue(f"{written!r} is not one of {', '.join(get_args(Summary))}", place="_summary")
    return written  # type: ignore[return-value]


def _sort(written: str) -> tuple[Any, bool]:
    name = written.removeprefix("-")
    if name not in ("", "started", "_lastUpdated"):
        raise InvalidValue(f"{name!r} sorts nothing; started or _lastUpdated do, descending with -", place="_sort")
    return name, written.startswith("-")


def check_format(written: str) -> None:
    """Raises `NotAcceptable` for any representation but JSON."""
    # A '+' that was not encoded arrives as a space.
    if written.replace(" ", "+") not in ("", "json", "application/json", "application/fhir+json", "text/json"):
        raise NotAcceptable(f"{written!r} is not served, only JSON", place="_format")


def page_mark(position: tuple[int, int]) -> str:
    """What the next page begins after, for its link."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def _after(mark: str) -> tuple[int, int] | None:
    if not mark:
        return None
    try:
        first, second = orjson.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        if not all(type(number) is int and abs(number) < LARGEST for number in (first, second)):
            raise ValueError
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidValue("this is no page of ours; follow the link 'next' as it stands", place="_page") from error
    return first, second
