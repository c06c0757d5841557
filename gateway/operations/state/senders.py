"""Who sends to the gateway: HL7 listeners, scanners, and examinations without a sign of life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from gateway.operations.state.components import Component
from gateway.operations.state.part import Fact, Form, Kind, Level, Part, moments
from gateway.operations.state.sources import Refused
from gateway.store.recent import MOST_COUNTED, MOST_LOOKED_AT, KeptRefusal, LastQuery, Newest

DAY: Final = 86_400 * 1_000_000
MOST_SCANNERS: Final = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """What the database has of those who send."""

    hour: Mapping[str, Newest]
    """Listener -> its messages of the last hour."""
    newest: Mapping[str, int]
    """Listener -> when its last message came."""
    wrong: Mapping[str, int]
    """Listener -> its messages of the last day that were not applied and wait for a person."""
    queries: Mapping[str, LastQuery]
    refusals: list[KeptRefusal]
    """Of the last day."""
    silent: int
    """Examinations without a sign of life."""


def listener_part(name: str, component: Component | None, sent: Sent) -> Part:
    """How an HL7 listener is; `component`: None where no gateway serves."""
    hour, wrong = sent.hour.get(name, Newest(0, 0)), sent.wrong.get(name, 0)
    at_bound = sum(one.number for one in sent.hour.values()) >= MOST_LOOKED_AT
    facts = [
        *moments(last_message=max(hour.last_at, sent.newest.get(name, 0))),
        Fact("messages in the last hour", hour.number, Form.COUNT, at_bound),
        Fact("not applied in the last day", wrong, Form.COUNT, wrong >= MOST_COUNTED),
    ]
    if component is not None and not component.ok:
        return Part(Kind.LISTENER, name, Level.BAD, component.detail, facts)
    state = component.detail if component is not None else "not looked at"
    if wrong:
        detail = f"{state}; {_messages(wrong)} of the last day {'was' if wrong == 1 else 'were'} not applied"
        return Part(Kind.LISTENER, name, Level.BAD, detail, facts, page="/messages")
    return Part(Kind.LISTENER, name, Level.GOOD, state, facts, page="/messages")


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count}{'+' if count >= MOST_COUNTED else ''} messages"


def unreadable_part(sent: Sent) -> Part | None:
    """What arrived in the last day and could not be read at all; None: nothing did."""
    unreadable = [one for one in sent.refusals if not one.calling_ae]
    if not unreadable:
        return None
    facts = (*moments(last=unreadable[0].refused_at), Fact("from", unreadable[0].source))
    number = len(unreadable)
    detail = f"{number} {'arrival' if number == 1 else 'arrivals'} of the last day could not be read"
    return Part(Kind.LISTENER, "unreadable", Level.WARN, detail, facts, page="/messages")


def dicom_part(component: Component | None, sent: Sent, refused: list[Refused], scanners: frozenset[str]) -> Part:
    """How the DICOM server is, and whom it refused that is none of `scanners`."""
    detail = component.detail if component is not None else "not looked at"
    strangers = [one for one in refused if one.calling_ae not in scanners]
    facts: list[Fact] = []
    if strangers:
        last = max(strangers, key=lambda one: one.at)
        facts = [
            *moments(last_refusal=last.at),
            Fact("of", f"{last.calling_ae} {last.address}"),
            Fact("why", last.why),
        ]
    is_well = component is None or component.ok
    return Part(Kind.DICOM, "", Level.GOOD if is_well else Level.BAD, detail, facts, page="/worklist")


def scanner_parts(scanners: frozenset[str], sent: Sent, refused: list[Refused], now: int) -> Iterator[Part]:
    """The scanners that are configured or have asked; one that was refused since it asked last is worth a look."""
    last: dict[str, Refused] = {}
    for one in sorted(refused, key=lambda one: one.at):
        last[one.calling_ae] = one
    for title in sorted(scanners)[:MOST_SCANNERS]:
        query, refusal = sent.queries.get(title), last.get(title)
        facts = [*moments(last_query=query and query.asked_at)]
        if query is not None:
            facts.append(Fact("matches", query.matches, Form.COUNT))
        if refusal is not None:
            facts += [*moments(last_refusal=refusal.at), Fact("why", refusal.why)]
        level, detail = _scanner_level(query, refusal, now)
        yield Part(Kind.SCANNER, title, level, detail, facts, page=f"/worklist?scanner={quote(title)}")


def _scanner_level(query: LastQuery | None, refusal: Refused | None, now: int) -> tuple[Level, str]:
    if refusal is not None and now - refusal.at < DAY and (query is None or refusal.at > query.asked_at):
        return Level.WARN, f"was refused and has not asked since: {refusal.why}"
    if query is None:
        return Level.GOOD, "has not asked for a worklist"
    if query.status:
        return Level.WARN, f"its last query ended with status {query.status:04X}"
    return Level.GOOD, "asks for its worklist"


def examinations_part(sent: Sent) -> Part:
    """Examinations that have begun and give no sign of life."""
    facts = (Fact("without a sign of life", sent.silent, Form.COUNT),)
    if not sent.silent:
        return Part(Kind.EXAMINATIONS, "", Level.GOOD, "none hangs", facts, page="/#examinations")
    number = "1 examination gives" if sent.silent == 1 else f"{sent.silent} examinations give"
    return Part(Kind.EXAMINATIONS, "", Level.WARN, f"{number} no sign of life", facts, page="/#examinations")
