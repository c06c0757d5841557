"""The named functions of `order_to_worklist.yaml`: from HL7 data types to DICOM values.

Each takes a `Value` (repetitions of components of subcomponents, unescaped) and the `Settings` of the site, and
returns text, a list of texts, a list of sequence items, or '' for nothing. They raise `InvalidValue` for what their
data type does not allow.
"""

from __future__ import annotations

import math
from typing import Any, Final

from gateway.mapping.language.functions import MappingFunction, registry
from gateway.mapping.orders.identifiers import (
    code_sequence,
    issuer_sequence,
    other_identifiers,
    universal_issuer_sequence,
)
from gateway.mapping.orders.leaves import leaf, leaves
from gateway.mapping.orders.names import person_name, provider_name, provider_names, technician_name
from gateway.mapping.orders.scope import Value
from gateway.mapping.orders.settings import Settings as Settings
from gateway.mapping.orders.sex_and_gender import gender_identity, names_to_use, pronouns, sex_parameters
from gateway.mapping.orders.times import birth_date, date, start_time, time


def text(value: Value, _settings: Settings) -> str:
    """The first component of the first repetition."""
    return leaf(value[0], 1) if value else ""


def texts(value: Value, _settings: Settings) -> list[str]:
    """The first component of every repetition."""
    return [one for repetition in value if (one := leaf(repetition, 1))]


def lines(value: Value, _settings: Settings) -> str:
    """Every repetition on a line of its own: comments, notes."""
    return "\r\n".join(one for repetition in value if (one := leaf(repetition, 1)))


def text_or_code(value: Value, _settings: Settings) -> str:
    """CE, CWE: the text (component 2), else the identifier (component 1)."""
    return (leaf(value[0], 2) or leaf(value[0], 1)) if value else ""


def texts_or_codes(value: Value, settings: Settings) -> list[str]:
    """CE, CWE of every repetition: the text, else the identifier."""
    return [one for repetition in value if (one := text_or_code([repetition], settings))]


_KILOGRAMS: Final = {"KG": 1.0, "G": 0.001, "LB": 0.45359237, "LBS": 0.45359237, "OZ": 0.028349523125}

_METRES: Final = {"M": 1.0, "CM": 0.01, "IN": 0.0254, "FT": 0.3048}


def _measure(value: Value, name: str, units: dict[str, float]) -> str:
    for observation in value:
        # OBX-3 identifier or text, OBX-5 value, OBX-6 units.
        if name not in (leaf(observation, 3, 1).upper(), leaf(observation, 3, 2).upper()):
            continue
        factor = units.get(leaf(observation, 6).upper())
        try:
            measured = float(leaf(observation, 5)) * (factor or 0)
        except ValueError:
            continue
        if measured > 0 and math.isfinite(measured):
            return f"{measured:.4g}"
    return ""


def weight(value: Value, _settings: Settings) -> str:
    """The observation "Body Weight" in kilograms; other units are converted, unknown ones give nothing."""
    return _measure(value, "BODY WEIGHT", _KILOGRAMS)


def height(value: Value, _settings: Settings) -> str:
    """The observation "Body Height" in metres."""
    return _measure(value, "BODY HEIGHT", _METRES)


def address(value: Value, _settings: Settings) -> str:
    """XAD: street, other, city, state, postcode, country on one line."""
    if not value:
        return ""
    return ", ".join(filter(None, leaves(value[0], 1, 6)))


def location(value: Value, _settings: Settings) -> str:
    """PL: point of care, room, bed, facility."""
    return " ".join(filter(None, leaves(value[0], 1, 4))) if value else ""


_F = MappingFunction
FUNCTIONS: Final = registry(
    _F(text),
    _F(texts, is_list=True),
    _F(lines),
    _F(text_or_code),
    _F(texts_or_codes, is_list=True),
    _F(person_name),
    _F(provider_name, recurs=True),
    _F(provider_names, is_list=True),
    _F(technician_name),
    _F(date, "DA", of_leaf=True),
    _F(birth_date, "DA", of_leaf=True),
    _F(time, "TM", of_leaf=True),
    _F(start_time, "TM", of_leaf=True),
    _F(code_sequence, "SQ", table="", recurs=True),
    _F(issuer_sequence, "SQ", recurs=True),
    _F(universal_issuer_sequence, "SQ", recurs=True),
    _F(other_identifiers, "SQ"),
    _F(names_to_use, "SQ"),
    _F(pronouns, "SQ", takes=("segment",), table=""),
    _F(gender_identity, "SQ", takes=("segment",), table=""),
    _F(sex_parameters, "SQ", takes=("segment",), table=""),
    _F(weight, takes=("segment",)),
    _F(height, takes=("segment",)),
    _F(address),
    _F(location),
)
"""What `as` may name in `order_to_worklist.yaml`."""


def apply(entry: MappingFunction, value: Value, settings: Settings) -> Any:
    """The result of a function for a value; '' for an empty first leaf where the function takes that alone."""
    if not entry.of_leaf:
        return entry.function(value, settings)
    written = text(value, settings)
    return entry.function(written, settings) if written else ""
