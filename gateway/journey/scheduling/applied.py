"""The site's rules of scheduling, and a message that is being applied: with its tools, and its outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sqlalchemy import Connection

from gateway.errors import Place
from gateway.records.imaging_order import Order, Said
from gateway.records.row_ids import OrderRow, PatientRow, PerformedStepRow
from gateway.value_class import value_class

History = Callable[[Connection, Order], Sequence[Said]]
"""What the messages kept so far state of an order, read with today's mappings."""


class LateLinks(Protocol):
    """Links what was performed before it was ordered; the station `performed_step`, handed in by the assembly."""

    def __call__(
        self,
        connection: Connection,
        order: OrderRow,
        performed_steps: Sequence[PerformedStepRow],
        history: History,
        *,
        now: int,
    ) -> None:
        """Link those of the performed steps that name a step of the order. `history`: with the present message."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is a site's to decide, and what the other stations do about an order."""

    ignore_unknown_control: bool = False
    """Accept an ORC-1 without effect on a worklist, and do nothing."""
    unknown_order: Literal["wait", "reject"] = "wait"
    """What to do with a hold or release of an order that is not known, and with any message about an order of another
    patient: keep it for the order, or the merge of the patients, or tell the sender (AE 204). A cancel of an order that
    is not known is always kept."""
    patient_data: Literal["fill", "newest"] = "fill"
    """Whether orders only fill attributes of a patient that no ADT has set, or the newest message counts."""
    tell_orders: bool = False
    """Whether an EHR gets orders."""
    late_links: LateLinks | None = None
    """None: nothing is performed."""
    orders_kept: int | None = None
    """How long orders are kept that have ended, microseconds; None: for ever. An older message makes no order: it may
    be of one that was deleted, and would put it on the worklist again."""


@dataclass(slots=True)
class Applied:
    """What became of the parts of a message.

    Of an order: `created`, `updated`, `stale` (older than what is applied, and nothing in it is news), `tombstone` (a
    cancel that came before its order), `waiting` (other words of what was not ordered yet), `arrived`, `moved` (to
    the survivor of a merge), `ignored`, `not imaging` (of a source that sends other orders too).
    """

    orders: list[tuple[OrderRow | None, str]] = field(default_factory=list)
    patients: dict[PatientRow, str] = field(default_factory=dict)
    findings: list[dict[str, str]] = field(default_factory=list)

    def replace_order(self, gone: OrderRow, kept: OrderRow) -> None:
        """Note that two rows have become one."""
        self.orders[:] = [(kept if row == gone else row, outcome) for row, outcome in self.orders]

    def note(self, place: Place | str, text: str) -> None:
        """Something remarkable that the message's readers should see."""
        self.findings.append({"place": str(place), "text": text})


@value_class
class SchedulingWork:
    """One message that is being applied, within a transaction."""

    connection: Connection
    now: int
    policy: Policy
    history: History
    """With what the parts of the message before the present one say, and what modalities did."""
    again: bool
    """The message was applied before, and is to be applied with today's mappings in place of its earlier statements."""
    applied: Applied = field(default_factory=Applied)
