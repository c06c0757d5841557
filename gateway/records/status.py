"""A status that waits in the outbox for its destination: what it is about, and the message once it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from gateway.records.order_progress import Progress
from gateway.records.row_ids import OrderRow, PerformedStepRow
from gateway.records.step import StepEvent


@dataclass(frozen=True, slots=True)
class MadeMessage:
    """A message as it goes over the wire: the same text, and so the same bytes, at every try."""

    text: str
    codec: str
    """The Python codec of its bytes."""
    control_id: str
    """MSH-10."""

    @property
    def raw(self) -> bytes:
        """The bytes; nothing in the text is outside of the codec."""
        return self.text.encode(self.codec)


@dataclass(frozen=True, slots=True)
class Status:
    """How an order stands, for one destination."""

    order: OrderRow
    performed_step: PerformedStepRow
    progress: Progress
    event: StepEvent
    """What the modality did."""
    at: int
    """When; microseconds."""
    message: MadeMessage | None = None
    """None: it could not be made, or the destination has refused it; the next try makes one."""
    fault: str = ""
    """Why it could not be made."""

    def as_payload(self) -> dict[str, Any]:
        """The JSON of the outbox."""
        made = self.message
        return {
            "order": self.order,
            "performed_step": self.performed_step,
            "progress": self.progress.value,
            "event": self.event.value,
            "at": self.at,
            "fault": self.fault,
            "message": {"text": made.text, "codec": made.codec, "control_id": made.control_id} if made else None,
        }

    @classmethod
    def of(cls, payload: dict[str, Any]) -> Self:
        """The status that `as_payload` wrote."""
        made = payload["message"]
        return cls(
            OrderRow(payload["order"]),
            PerformedStepRow(payload["performed_step"]),
            Progress(payload["progress"]),
            StepEvent(payload["event"]),
            payload["at"],
            MadeMessage(**made) if made else None,
            payload["fault"],
        )
