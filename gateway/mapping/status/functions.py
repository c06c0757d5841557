"""Functions that a row of `step_to_status.yaml` may name with `as`: attributes of DICOM to fields of HL7.

What comes from the order's own message is a field already and passes through all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any, Final

from gateway.errors import InvalidValue
from gateway.mapping.language.functions import MappingFunction, registry
from gateway.mapping.orders.scope import Value
from gateway.records.performed_times import moment_of

Form = Callable[[Any, Sequence[Any], tzinfo], Value]
"""What stands at the first path that has a value, what stands at the paths of `with`, the site's zone -> a field."""


def field_of(*components: str) -> Value:
    """A field of one repetition, its empty components at the end left out."""
    while components and not components[-1]:
        components = components[:-1]
    return [[[one] for one in components]] if components else []


def plain(value: Any) -> str:
    """The first value, as text."""
    first = next(iter(value), "") if isinstance(value, list) else value
    return "" if first is None or isinstance(first, dict) else str(first).strip()


def text(value: Any, _with: Sequence[Any], _zone: tzinfo) -> Value:
    """The value as it is, each of several as a repetition; the default."""
    values = value if isinstance(value, list) else [value]
    return [repetition for one in values for repetition in field_of(plain(one))]


def date_time(value: Any, others: Sequence[Any], zone: tzinfo) -> Value:
    """TS of a date, with a time and Timezone Offset From UTC, in the site's zone and with its offset."""
    date, time, offset = (plain(one) for one in (value, *others, "", "")[:3])
    if not time:
        return field_of(date)
    moment = moment_of(date, time, offset, zone)
    if moment is None:
        raise InvalidValue(f"{date!r} {time!r} is no date and time")
    return field_of(f"{moment.astimezone(zone):%Y%m%d%H%M%S%z}")


def appointment(value: Any, others: Sequence[Any], zone: tzinfo) -> Value:
    """TQ with the start in its component 4."""
    [[moment]] = date_time(value, others, zone)
    return [[[""], [""], [""], moment]]


def person(value: Any, _with: Sequence[Any], _zone: tzinfo) -> Value:
    """XPN of a PN: its alphabetic group, with prefix and suffix in HL7's order."""
    return field_of(*_name(plain(value)))


def provider(value: Any, _with: Sequence[Any], _zone: tzinfo) -> Value:
    """XCN of a PN: the name without an id."""
    name = _name(plain(value))
    return field_of("", *name) if any(name) else []


def _name(name: str) -> list[str]:
    family, given, middle, prefix, suffix = [*name.split("=")[0].split("^"), *[""] * 5][:5]
    return [family, given, middle, suffix, prefix]


def patient_number(value: Any, others: Sequence[Any], _zone: tzinfo) -> Value:
    """CX of a Patient ID, with its issuer."""
    return field_of(plain(value), "", "", *(plain(one) for one in others[:1]))


def code(value: Any, _with: Sequence[Any], _zone: tzinfo) -> Value:
    """CWE of the items of a code sequence, each a repetition; a text stands as the text of a code that has none."""
    items = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    if not items:
        return field_of("", plain(value)) if plain(value) else []
    keywords = ("CodeValue", "CodeMeaning", "CodingSchemeDesignator")
    return [one for item in items for one in field_of(*(plain(item.get(keyword)) for keyword in keywords))]


def study_pointer(value: Any, _with: Sequence[Any], _zone: tzinfo) -> Value:
    """RP of a Study Instance UID, as IHE has it in ZDS-1."""
    return field_of(plain(value), "", "Application", "DICOM")


_F = MappingFunction
FUNCTIONS: Final = registry(
    _F(text),
    _F(date_time, companions=2),
    _F(appointment, companions=2),
    _F(person),
    _F(provider),
    _F(patient_number, companions=1),
    _F(code),
    _F(study_pointer),
)
"""What `as` may name in `step_to_status.yaml`."""
