"""Makes the message of a status: the same facts, mapping and control id give the same bytes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from gateway.clock import Clock
from gateway.errors import GatewayError, NeedsPerson
from gateway.journey.ris_status.material import Materials
from gateway.mapping.status.message import StatusMapping
from gateway.mapping.status.scope import StatusScope
from gateway.records.order_progress import Progress
from gateway.records.status import MadeMessage, Status
from gateway.store import order_book, performed_steps
from gateway.wire.hl7.writing import Header, written

LONGEST_CONTROL_ID = 20
"""Characters of MSH-10 (HL7 2.3.1 and 2.5.1)."""


@dataclass(frozen=True, slots=True)
class StatusReceiver:
    """A destination of statuses."""

    name: str
    kind: str
    """MSH-9.1 and .2 of its statuses."""
    header: Header
    progresses: frozenset[Progress]
    """What an order must have come to."""


class StatusMaker:
    """Makes messages of what the store holds, by `step_to_status.yaml`, in transactions that may write."""

    def __init__(self, mapping: StatusMapping, materials: Materials, clock: Clock) -> None:
        self._mapping = mapping
        self._materials = materials
        self._clock = clock

    def made(self, connection: Connection, status: Status, *receivers: StatusReceiver) -> list[Status]:
        """The status for each receiver, its message under a control id that no other has; where no message can be made,
        with the reason."""
        try:
            scopes = self._scopes(connection, status)
        except DBAPIError:
            raise
        except Exception as error:
            return [replace(status, message=None, fault=_fault(error))] * len(receivers)
        return [self._of_receiver(status, scopes, receiver) for receiver in receivers]

    def _scopes(self, connection: Connection, status: Status) -> list[list[StatusScope]]:
        row = performed_steps.get(connection, status.performed_step)
        if row is None:
            raise NeedsPerson("the performed step is gone")
        order = order_book.get(connection, status.order)
        steps = performed_steps.steps_of(connection, status.performed_step, status.order)
        return self._materials.scopes(connection, status, order, row["attributes"], steps)

    def _of_receiver(self, status: Status, scopes: list[list[StatusScope]], receiver: StatusReceiver) -> Status:
        header = receiver.header
        try:
            version = tuple(int(part) for part in header.version.split("."))
            fields = self._mapping.build(receiver.kind, version, scopes)
            control_id = uuid.uuid4().hex[:LONGEST_CONTROL_ID].upper()
            at = datetime.fromtimestamp(self._clock() / 1e6, UTC).astimezone(self._materials.zone)
            made = written(header, control_id, at, fields.segments)
        except Exception as error:
            return replace(status, message=None, fault=_fault(error))
        return replace(status, message=MadeMessage(made.text, made.codec, control_id), fault="")


def _fault(error: Exception) -> str:
    """Why there is no message. What is odd about one order must not stop its examination, in whose transaction its
    statuses are made."""
    return str(error) if isinstance(error, GatewayError) else f"internal error ({type(error).__name__})"
