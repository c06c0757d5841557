"""The verdict on a message: its state, the MSA-1 code, the findings, and what the message touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

from gateway.errors import Fate, GatewayError, Place, UnsupportedEvent, UnsupportedType
from gateway.journey.order_intake.codes import acknowledgement_code
from gateway.journey.order_intake.reading import Reading
from gateway.records.cause import cause_of_message
from gateway.records.finding import Finding
from gateway.records.message import WRONG, MessageState
from gateway.records.order import NOT_IMAGING
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.value_class import value_class

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class Outcomes(Protocol):
    """What scheduling did with the statements of a message."""

    orders: list[tuple[OrderRow | None, str]]
    patients: dict[PatientRow, str]
    findings: list[dict[str, str]]


@value_class
class Verdict:
    """The result of processing a message."""

    state: MessageState
    code: str
    """MSA-1."""
    findings: Sequence[dict[str, str]]
    """As the store keeps them."""
    orders: Mapping[OrderRow, str] = field(default_factory=dict)
    """Row of an order -> what the message did to the order."""
    patients: Mapping[PatientRow, str] = field(default_factory=dict)
    unserved: bool = False
    """Refused for its type or trigger event alone."""

    @property
    def cause(self) -> str:
        """Key of why the message is not applied; empty: it is, or its type is not served."""
        return cause_of_message(self.findings[0]).key if self.state in WRONG and not self.unserved else ""

    def with_findings(self, *before: Finding) -> list[dict[str, Any]]:
        """The rows of all findings, `before` first."""
        return [*(finding.as_row() for finding in before), *self.findings]


def unread_verdict(reading: Reading) -> Verdict | None:
    """The verdict on a message that is not applied: of a type that is only kept, or with a fault. None: apply it."""
    if reading.kept_only is not None:
        return Verdict(MessageState.STORED, "AA", [reading.kept_only.as_row()])
    error = reading.error
    if error is None:
        return None
    state = MessageState.REJECTED if error.fate is Fate.REJECT else MessageState.FAILED
    unserved = isinstance(error, UnsupportedType | UnsupportedEvent)
    findings = [error_finding(one).as_row() for one in (error, *error.others)]
    return Verdict(state, acknowledgement_code(error), findings, unserved=unserved)


def error_finding(error: GatewayError) -> Finding:
    """The finding that names an error and its place."""
    return Finding(error.place, error.message)


def applied_verdict(reading: Reading, outcomes: Outcomes) -> Verdict:
    """The verdict on a message that scheduling applied."""
    findings = [one.as_row() for one in reading.findings]
    findings += outcomes.findings
    if reading.message is not None and REPLACEMENT in reading.message.text:
        text = f"bytes that are not {reading.message.codec} text were read as {REPLACEMENT}"
        findings.append(Finding(Place("MSH", 18), text).as_row())
    orders: dict[OrderRow, str] = {}
    for order, outcome in outcomes.orders:
        if order is not None and orders.get(order, "stale") == "stale":
            orders[order] = outcome
    outcome, *others = {outcome for _, outcome in outcomes.orders} or {""}
    state = MessageState.APPLIED
    if not others and not outcomes.patients:
        state = _WITHOUT_EFFECT.get(outcome, state)
    return Verdict(state, "AA", findings, orders, outcomes.patients)


_WITHOUT_EFFECT: Final = {"stale": MessageState.STALE, NOT_IMAGING: MessageState.STORED}
"""The outcome of all orders of a message -> the state of a message that changed nothing."""
