"""Which media type a client takes, and which it sends (PS3.18 8.4, 8.7; RFC 9110 12.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Final

JSON, XML = "application/dicom+json", "application/dicom+xml"
PLAIN_JSON, PLAIN_XML = "application/json", "application/xml"
DICOM: Final = "application/dicom"
"""A file of PS3.10."""
ANY: Final = "*"
WADL: Final = "application/vnd.sun.wadl+xml"
MULTIPART: Final = "multipart/related"


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type. `type` is that of the parts of a multipart one."""

    name: str
    type: str = ""

    def __str__(self) -> str:
        return f'{self.name}; type="{self.type}"' if self.type else self.name


JSON_TYPES: Final = (MediaType(JSON), MediaType(PLAIN_JSON))
ONE_RESULT: Final = (*JSON_TYPES, MediaType(XML))
"""Of a payload that holds one data set, the default first."""
RESULTS: Final = (*JSON_TYPES, MediaType(XML), MediaType(MULTIPART, JSON), MediaType(MULTIPART, XML))
"""Of the results of a search (PS3.18 14.1.3), the default first; application/json is for clients of older editions."""
METADATA: Final = (*JSON_TYPES, MediaType(MULTIPART, XML), MediaType(MULTIPART, JSON))
"""Of the metadata of instances (PS3.18 10.4.4), the default first."""
INSTANCES: Final = (MediaType(MULTIPART, DICOM),)
ONE_INSTANCE: Final = (*INSTANCES, MediaType(DICOM))
CAPABILITIES: Final = (MediaType(WADL), MediaType(PLAIN_JSON), MediaType(PLAIN_XML))


@dataclass(frozen=True, slots=True)
class _Range:
    """A media range of an Accept header, with its weight."""

    name: str
    type: str = ""
    weight: float = 1.0
    transfer_syntax: str = ANY

    def covers(self, offered: MediaType) -> bool:
        if self.name not in ("*/*", f"{offered.name.partition('/')[0]}/*", offered.name):
            return False
        return not self.type or self.type == offered.type

    @property
    def precision(self) -> int:
        """The most precise range that covers a type gives its weight."""
        return 2 - self.name.count("*") + bool(self.type)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which media types a client takes: its Accept header, and the `accept` parameter, which narrows the header."""

    header: str | None
    parameter: str | None = None
    _ranges: list[tuple[_Range, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        written = (self.header, self.parameter)
        object.__setattr__(self, "_ranges", [_ranges(one) for one in written if one is not None])

    def preferred(self, offered: Sequence[MediaType]) -> list[MediaType]:
        """Those of the offered that are accepted, the best first, the order of the offer where weights are equal.
        None without an Accept header (8.7.5)."""
        if self.header is None:
            return []
        weights = {one: min(_weight(ranges, one) for ranges in self._ranges) for one in offered}
        return sorted((one for one in offered if weights[one] > 0), key=lambda one: -weights[one])

    def transfer_syntaxes(self, offered: MediaType) -> frozenset[str]:
        """UIDs of those in which a media type is accepted, or `ANY` (8.7.3.5.2); a range that names none takes any."""
        ranges = self._ranges[-1] if self._ranges else ()
        return frozenset(one.transfer_syntax for one in ranges if one.weight > 0 and one.covers(offered))


def _weight(ranges: Sequence[_Range], offered: MediaType) -> float:
    covering = [one for one in ranges if one.covers(offered)]
    return max(covering, key=lambda one: (one.precision, one.weight)).weight if covering else 0.0


def _ranges(written: str) -> tuple[_Range, ...]:
    """Values that cannot be read are left out (8.7.5)."""
    return tuple(one for part in _split(written) if (one := _range(part)) is not None)


def _split(written: str) -> list[str]:
    """At the commas outside of quotation marks."""
    parts, quoted = [""], False
    for character in written:
        quoted ^= character == '"'
        if character == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _range(written: str) -> _Range | None:
    name, parameters = parsed(written)
    if name.count("/") != 1:
        return None
    try:
        weight = float(parameters.get("q", "1"))
    except ValueError:
        return None
    syntax = parameters.get("transfer-syntax", "").strip() or ANY
    return _Range(name, parameters.get("type", "").lower(), weight if 0 <= weight <= 1 else 1.0, syntax)


def parsed(written: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, and its parameters."""
    message = Message()
    message["Content-Type"] = written
    pairs = message.get_params(failobj=[], unquote=True)
    parameters = {key.lower(): value for key, value in pairs[1:] if isinstance(value, str)}
    return pairs[0][0].strip().lower() if pairs else "", parameters


def takes_utf_8(charsets: str) -> bool:
    """Whether an Accept-Charset header, or a `charset` parameter, allows UTF-8 (RFC 9110 12.5.2)."""
    weights: dict[str, float] = {}
    for part in _split(charsets):
        name, _, weight = part.partition(";")
        written = weight.strip().removeprefix("q=")
        weights[name.strip().lower()] = float(written) if written.replace(".", "", 1).isdigit() else 1.0
    return weights.get("utf-8", weights.get("*", 0.0 if weights else 1.0)) > 0
