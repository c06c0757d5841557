"""Where the instances of a study or series state different values: for who wants to know why one of them counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.records.agreement import AgreementRule, Rule, Rules, Stating, fact


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A fact that instances state differently."""

    rule: AgreementRule
    """By which rule a value counts."""
    values: tuple[Any, ...]
    """What is stated, each once, by SOP Instance UID."""


def disagreements(stated: Iterable[Stating], rules: Rules) -> Iterator[Disagreement]:
    """What instances state differently, by attribute. An instance without a value differs from none."""
    every = sorted(stated, key=lambda one: one.sop_uid)
    keywords = sorted({keyword for one in every for keyword in one.values})
    named = {rule.lead: rule for keyword in keywords for rule in [rules.get(keyword) or _by_itself(keyword)]}
    for _, rule in sorted(named.items()):
        facts = [_fact(one, rule) for one in every]
        values = {json.dumps(value, sort_keys=True): value for value in facts if value is not None}
        if len(values) > 1:
            yield Disagreement(rule, tuple(values.values()))


def _by_itself(keyword: str) -> AgreementRule:
    return AgreementRule(Rule.FIRST, (keyword,))


def _fact(one: Stating, rule: AgreementRule) -> Any:
    """With all that counts with the value, except where attributes stand in place of one another."""
    if rule.rule is Rule.EQUAL or len(rule.keywords) == 1:
        return fact(one.values, rule)
    return {keyword: one.values[keyword] for keyword in rule.keywords if keyword in one.values} or None
