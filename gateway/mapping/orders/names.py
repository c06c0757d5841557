"""Names of people: HL7 XPN and XCN to DICOM PN (PS3.5 6.2.1)."""

from __future__ import annotations

import re
from typing import Final

from gateway.mapping.orders.leaves import leaf, leaves
from gateway.mapping.orders.scope import Repetition, Value
from gateway.mapping.orders.settings import Settings as Settings

_TIME: Final = re.compile(r"\d{8,}([.+-]\d+)*", re.ASCII)
"""NDL.2 and NDL.3: start and end."""
_PN_UNSAFE: Final = re.compile(r"[\^=\\]+")


def _component_group(family: str, given: str, middle: str, prefix: str, suffix: str) -> str:
    parts = (family, given, middle, prefix, suffix)
    group = "^".join(parts)
    if "=" in group or "\\" in group or group.count("^") >= len(parts):
        group = "^".join([_PN_UNSAFE.sub(" ", part).strip() for part in parts])
    return group.rstrip("^")


def _family(component: list[str]) -> str:
    """FN (HL7 2.5.1, 2.A.30): component 1 is the whole surname; where it is empty, or the own surname alone, the own
    surname with its prefix. A name that has no own surname is that of the partner (components 4 and 5)."""
    if len(component) == 1:
        return component[0].strip()
    whole, prefix, own, partner_prefix, partner = [*(part.strip() for part in component[:5]), "", "", "", "", ""][:5]
    if whole and whole != own:
        return whole
    return _prefixed(prefix, own) or _prefixed(partner_prefix, partner)


def _prefixed(prefix: str, surname: str) -> str:
    return f"{prefix}{surname}" if prefix.endswith("'") else f"{prefix} {surname}".strip()


def _extended_name(repetition: Repetition, first: int) -> str:
    """XPN from component `first` on. HL7 gives suffix before prefix, DICOM prefix before suffix (PS3.5 6.2.1.1)."""
    family = _family(repetition[first - 1]) if len(repetition) >= first else ""
    given, middle, suffix, prefix, degree = leaves(repetition, first + 1, 5)
    return _component_group(family, given, middle, prefix, f"{suffix} {degree}".strip())


_GROUPS: Final = {"I": 1, "P": 2}
"""XPN.8 (table 0465) -> component group of a PN (PS3.5 6.2.1), from 0; all else is the alphabetic group."""


_RANKS: Final = {"L": 0, "D": 1, "": 2, "N": 4, "NOUSE": 5}
"""XPN.7 (table 0200): what counts as the name of a patient, the first most."""
_OTHER: Final = 3


def person_name(value: Value, _settings: Settings) -> str:
    """XPN: the legal name (type L), else the display name (D), else the first, a nickname (N) or a name that is no
    longer used (NOUSE) last; the same name in ideographic (I) and phonetic (P) writing as second and third component
    group."""
    if len(value) == 1 and leaf(value[0], 8) not in _GROUPS:
        return _extended_name(value[0], 1)
    ranked = sorted(value, key=lambda one: _RANKS.get(leaf(one, 7), _OTHER))
    alphabetic = next((one for one in ranked if leaf(one, 8) not in _GROUPS), None)
    kind = leaf(alphabetic or ranked[0], 7) if ranked else ""
    groups = [_extended_name(alphabetic, 1) if alphabetic else "", "", ""]
    for repetition in ranked:
        number = _GROUPS.get(leaf(repetition, 8))
        if number and not groups[number] and leaf(repetition, 7) == kind:
            groups[number] = _extended_name(repetition, 1)
    return "=".join(groups).rstrip("=")


def provider_name(value: Value, _settings: Settings) -> str:
    """XCN: the name in components 2 to 7; an id without a name gives nothing."""
    return _extended_name(value[0], 2) if value else ""


def provider_names(value: Value, settings: Settings) -> list[str]:
    """XCN of every repetition."""
    return [name for repetition in value if (name := provider_name([repetition], settings))]


def technician_name(value: Value, settings: Settings) -> str:
    """NDL: the name sits in the subcomponents of component 1; senders that use components are understood too."""
    if not value:
        return ""
    first = value[0][0] if value[0] else []
    times = [part for component in value[0][1:3] for part in component[:1]]
    if len(first) > 1 or any(_TIME.fullmatch(part) for part in times):
        # An NDL by its definition: times, rooms and numbers in components 2 and on are no parts of a name.
        as_components: Repetition = [[part] for part in first]
    else:
        as_components = value[0]
    return provider_name([as_components], settings)
