"""Whoever the audit trail is sent to: what every receiver can do, and a syslog receiver of audit messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.clock import Clock
from gateway.operations.audit.dicom_message import AuditSource, dicom_message
from gateway.operations.audit.exporting import chain_broken
from gateway.records.audit import GATEWAY, AuditEvent, AuditKind, event_of
from gateway.store.audit_listing import ChainRow
from gateway.wire.syslog.message import NOTICE, WARNING, SyslogHeader
from gateway.wire.syslog.sender import SyslogSender


class AuditReceiver(Protocol):
    """Takes rows of the trail."""

    @property
    def acknowledges(self) -> bool:
        """Whether `send` returns once the rows are kept over there."""

    @property
    def most_rows(self) -> int:
        """That `send` takes at once."""

    async def open(self) -> bool:
        """Have a connection; whether it is a new one, so that what the one before was given last may be lost.

        Raises `Unavailable`.
        """

    async def send(self, rows: Sequence[ChainRow]) -> int:
        """Send the rows, in their order where that is kept; how many the receiver will never take.

        Raises `Unavailable`; the same rows are then given again, or fewer of them.
        """

    async def close(self) -> None:
        """Close the connection."""


def event_in(row: ChainRow, clock: Clock) -> AuditEvent:
    """The event of a row, or that it cannot be read."""
    try:
        return event_of(row.event)
    except (LookupError, TypeError, ValueError):  # somebody has altered it, who must not end all reports by that
        return chain_broken(GATEWAY, f"row {row.sequence} cannot be read", clock())


class SyslogReceiver:
    """A repository of DICOM audit messages."""

    acknowledges = False
    most_rows = 100

    def __init__(self, sender: SyslogSender, header: SyslogHeader, source: AuditSource, clock: Clock) -> None:
        self._sender, self._header, self._source, self._clock = sender, header, source, clock

    async def open(self) -> bool:
        """See `AuditReceiver.open`."""
        return await self._sender.open()

    async def send(self, rows: Sequence[ChainRow]) -> int:
        """See `AuditReceiver.send`: nothing is ever refused, for nothing is answered."""
        await self._sender.send([self._message(row) for row in rows])
        return 0

    async def close(self) -> None:
        """See `AuditReceiver.close`."""
        await self._sender.close()

    def _message(self, row: ChainRow) -> bytes:
        event = event_in(row, self._clock)
        severity = WARNING if event.outcome or event.kind is AuditKind.SECURITY_ALERT else NOTICE
        return self._header.message(dicom_message(event, self._source), event.moment, severity=severity)
