"""What the instances of a study or series state together: one result, whatever the order in which they came.

A rule takes the instances as a set: of each what was sent last, its SOP Instance UID, and when it states to have been
made. Which rule an attribute has stands in `mappings/agreement.yaml`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

from gateway.records.identifiers import SOPInstanceUID
from gateway.records.made_at import MADE_AT_KEYWORDS, made_at
from gateway.records.order import Attributes


class Rule(StrEnum):
    """Which value counts where instances state different ones. An instance without a value states nothing."""

    FIRST = "first"
    NEWEST = "newest"
    EQUAL = "equal"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class AgreementRule:
    """The rule of one fact."""

    rule: Rule
    keywords: tuple[str, ...]
    """The attributes that state the fact together, or in place of one another; of an instance with several the first
    counts most. They are taken of one instance, never mixed from several."""
    origin: str = ""
    """`file:line`."""

    @property
    def lead(self) -> str:
        """The attribute by which the fact is known."""
        return self.keywords[0]


Rules = Mapping[str, AgreementRule]
"""Each keyword of a rule -> the rule. An attribute without a rule is `first`, and counts by itself."""
Sources = dict[str, Any]
"""Attribute -> of which instances its value is: a SOP Instance UID; of a rule, by its lead, [rule, UIDs, and what the
rule needs to go on with one more]."""
MOST_LISTED: Final = 64
"""Values that `list` keeps."""


@dataclass(frozen=True)
class AgreementRules:
    """`zone`: of times without an offset."""

    study: Rules = field(default_factory=dict)
    series: Rules = field(default_factory=dict)
    zone: tzinfo = UTC

    @cached_property
    def asks_when(self) -> bool:
        """Whether a rule needs to know when instances were made."""
        return any(one.rule is Rule.NEWEST for one in (*self.study.values(), *self.series.values()))

    @property
    def keywords(self) -> frozenset[str]:
        """The attributes of an instance by which it counts."""
        return MADE_AT_KEYWORDS if self.asks_when else frozenset()


class Stating(NamedTuple):
    """What one instance states of its study or series."""

    sop_uid: SOPInstanceUID
    values: Attributes
    made_at: int | None = None
    """Microseconds since 1970 UTC; None: not stated, or no rule asks."""


class Together(NamedTuple):
    """What instances state together, and all that is needed to go on with one more."""

    attributes: Attributes
    sources: Sources


NOTHING: Final = Together({}, {})


def of_levels(sop_uid: SOPInstanceUID, levels: Mapping[str, Attributes], rules: AgreementRules) -> dict[str, Stating]:
    """What an instance states of its study and of its series; `levels`: its attributes by level."""
    moment = None
    if rules.asks_when:
        offset = str(levels["study"].get("TimezoneOffsetFromUTC") or "")
        moment = made_at(levels["instance"], offset, rules.zone)
    return {level: Stating(sop_uid, levels[level], moment) for level in ("study", "series")}


def together(stated: Iterable[Stating], rules: Rules) -> Together:
    """What instances state together, each of which is there once; two may have one UID, in two series."""
    every = list(stated)
    if len({one.sop_uid for one in every}) < len(every):
        every.sort(key=lambda one: json.dumps(one.values, sort_keys=True))
    every.sort(key=lambda one: one.sop_uid)
    result = NOTHING
    for one in every:
        result = agreed(result, one, rules)
    return result


def agreed(held: Together, one: Stating, rules: Rules) -> Together:
    """`held` with one more instance, or with other contents of one (see `must_be_read_again`)."""
    attributes = dict(held.attributes)
    sources = {lead: source for lead, source in held.sources.items() if _fits(lead, source, rules)}
    seen: set[str] = set()
    for keyword, value in one.values.items():
        rule = rules.get(keyword)
        if rule is None:
            source = sources.get(keyword)
            if source is None or one.sop_uid <= source:
                attributes[keyword], sources[keyword] = value, one.sop_uid
        elif rule.lead not in seen:
            seen.add(rule.lead)
            if not _changes_nothing(attributes, sources, one, rule):
                _MERGES[rule.rule](attributes, sources, one, rule)
    return Together(attributes, sources)


def _changes_nothing(attributes: Attributes, sources: Sources, one: Stating, rule: AgreementRule) -> bool:
    """Whether an instance states what lower UIDs state, or more than a list keeps: so do most, and what the rule would
    do takes longer to find."""
    source = sources.get(rule.lead)
    if source is None or rule.rule is Rule.NEWEST or max(source[1:]) >= one.sop_uid:
        return False
    is_full = rule.rule is Rule.LIST and len(source) > MOST_LISTED
    return is_full or all(attributes.get(keyword) == one.values.get(keyword) for keyword in rule.keywords)


def with_one_more(held: Together, one: Stating, rules: Rules) -> tuple[Together, bool]:
    """What `agreed` and `must_be_read_again` give."""
    if _repeats(held, one, rules):
        return held, False
    return agreed(held, one, rules), must_be_read_again(held, one, rules)


def _repeats(held: Together, one: Stating, rules: Rules) -> bool:
    """Whether an instance states just what instances of lower UIDs state together: most of a series do."""
    if one.values != held.attributes:
        return False
    for lead, source in held.sources.items():
        if isinstance(source, str):
            if source >= one.sop_uid or lead in rules or not source:
                return False
        elif not _fits(lead, source, rules) or source[0] == Rule.NEWEST or max(source[1:]) >= one.sop_uid:
            return False
    return True


def must_be_read_again(held: Together, one: Stating, rules: Rules) -> bool:
    """Whether `agreed` cannot give what all instances state together: `held` was made by other rules, or a value of
    an instance with this UID counted that this instance does not state, so that another instance's value may count."""
    counting = []
    for lead, source in held.sources.items():
        if not _fits(lead, source, rules):
            return True
        if source == one.sop_uid if isinstance(source, str) else one.sop_uid in source:
            counting.append(lead)
    alone = agreed(NOTHING, one, rules) if counting else NOTHING
    return any(
        held.sources[lead] != alone.sources.get(lead)
        or any(held.attributes.get(each) != alone.attributes.get(each) for each in _keywords(lead, rules))
        for lead in counting
    )


def _keywords(lead: str, rules: Rules) -> tuple[str, ...]:
    return rules[lead].keywords if lead in rules else (lead,)


def _fits(lead: str, source: Any, rules: Rules) -> bool:
    """Whether a source is as the rule writes it; rules may have changed since, and earlier versions had one form."""
    if isinstance(source, str):
        return lead not in rules and source != ""
    rule = rules.get(lead)
    return rule is not None and rule.lead == lead and bool(source[0] == rule.rule)


# The rules


def _take(attributes: Attributes, sources: Sources, one: Stating, rule: AgreementRule) -> None:
    """Let the fact be as this instance states."""
    for keyword in rule.keywords:
        attributes.pop(keyword, None)
        if keyword in one.values:
            attributes[keyword] = one.values[keyword]
    when = (one.made_at,) if rule.rule is Rule.NEWEST else ()
    sources[rule.lead] = [rule.rule.value, one.sop_uid, *when]


def _best(attributes: Attributes, sources: Sources, one: Stating, rule: AgreementRule) -> None:
    """The fact as the instance with the lowest key states: that names the more of it, was made last, has the lowest
    UID."""
    source = sources.get(rule.lead)
    if source is not None and source[1] != one.sop_uid:
        uid, *when = source[1:]
        if _key(uid, attributes, when[0] if when else None, rule) < _key(*one, rule):
            return
    _take(attributes, sources, one, rule)


def _key(uid: str, values: Attributes, made_at: int | None, rule: AgreementRule) -> tuple[int, float, str]:
    number = next((number for number, keyword in enumerate(rule.keywords) if keyword in values), 0)
    age = 0 if rule.rule is not Rule.NEWEST else float("inf") if made_at is None else -made_at
    return number, age, uid


def _equal(attributes: Attributes, sources: Sources, one: Stating, rule: AgreementRule) -> None:
    """The fact that all state; from the first that differs on, nothing, and by which two instances."""
    source = sources.get(rule.lead)
    if source is not None and len(source) > 2:
        return
    if source is None or source[1] == one.sop_uid or fact(attributes, rule) == fact(one.values, rule):
        _best(attributes, sources, one, rule)
        return
    for keyword in rule.keywords:
        attributes.pop(keyword, None)
    sources[rule.lead] = [rule.rule.value, source[1], one.sop_uid]


def fact(values: Attributes, rule: AgreementRule) -> Any:
    """What is stated, in whichever of the attributes; None: nothing."""
    return next((values[keyword] for keyword in rule.keywords if keyword in values), None)


def _list(attributes: Attributes, sources: Sources, one: Stating, rule: AgreementRule) -> None:
    """All values, each with the lowest UID that has it, in the order of these UIDs and of their own lists."""
    uids = sources.get(rule.lead, [rule.rule.value])[1:]
    best: dict[str, tuple[str, int, tuple[Any, ...]]] = {}
    of_all = [*zip(uids, _entries(attributes, rule), strict=False)]
    own = [(one.sop_uid, entry) for entry in _entries(one.values, rule)]
    for number, (uid, entry) in enumerate([*(pair for pair in of_all if pair[0] != one.sop_uid), *own]):
        key = json.dumps(entry, sort_keys=True)
        if key not in best or uid < best[key][0]:
            best[key] = uid, number, entry
    kept = sorted(best.values(), key=lambda value: value[:2])[:MOST_LISTED]
    if kept:
        _write(attributes, [entry for _, _, entry in kept], rule)
        sources[rule.lead] = [rule.rule.value, *(uid for uid, _, _ in kept)]


def _entries(values: Attributes, rule: AgreementRule) -> list[tuple[Any, ...]]:
    """Each value of the lead with what the other attributes hold in its place, None where their numbers differ."""
    columns = [_values(values.get(keyword)) for keyword in rule.keywords]
    length = len(columns[0])
    return list(zip(*(one if len(one) == length else [None] * length for one in columns), strict=True))


def _values(value: Any) -> list[Any]:
    # What `_write` puts where nothing is stated is read as nothing.
    return [one or None for one in (value if isinstance(value, list) else [] if value is None else [value])]


def _write(attributes: Attributes, kept: list[tuple[Any, ...]], rule: AgreementRule) -> None:
    for keyword, column in zip(rule.keywords, zip(*kept, strict=True), strict=True):
        attributes.pop(keyword, None)
        if any(column):
            blank: Any = {} if any(isinstance(one, dict) for one in column) else ""
            values = [blank if one is None else one for one in column]
            attributes[keyword] = values[0] if len(values) == 1 and not isinstance(values[0], dict) else values


_MERGES: Final[Mapping[Rule, Callable[[Attributes, Sources, Stating, AgreementRule], None]]] = {
    Rule.FIRST: _best,
    Rule.NEWEST: _best,
    Rule.EQUAL: _equal,
    Rule.LIST: _list,
}
