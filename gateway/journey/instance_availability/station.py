"""Keeps Instance Availability Notifications as evidence (PS3.4 R.3.2). Success follows the commit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import orjson
from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, Rejected
from gateway.long_work import beside
from gateway.mapping.elements import of_elements
from gateway.observe import metrics
from gateway.records import evidence_of
from gateway.records.availability import Notification, notified
from gateway.records.order import Attributes
from gateway.store import Store, availability, refusals, settling
from gateway.wire.dimse import AttributesRequest, ExplainedFailure
from gateway.wire.dimse.statuses import NORMALIZED_STATUSES, SUCCESS, status_of

log = logging.getLogger(__name__)


Consequence = Callable[[Connection, str, Notification], None]
"""What follows from a notification with this SOP Instance UID, in the transaction that keeps it."""


class InstanceAvailability:
    """What the DIMSE server calls."""

    def __init__(self, store: Store, clock: Clock, consequence: Consequence = lambda *_kept: None) -> None:
        self._store = store
        self._clock = clock
        self._consequence = consequence

    async def create(self, request: AttributesRequest) -> None:
        """N-CREATE. Raises `ExplainedFailure`."""
        read = partial(of_elements, request.dataset)
        attributes = await beside(read) if request.is_long else read()
        try:
            await self._keep(request, attributes)
        except GatewayError as error:
            status = status_of(error, NORMALIZED_STATUSES)
            _count(status)
            if isinstance(error, Rejected):
                await self._keep_refused(request, attributes, f"N-CREATE {status:04X} {error}")
            raise ExplainedFailure(error) from error
        _count(SUCCESS)

    async def _keep(self, request: AttributesRequest, attributes: Attributes) -> None:
        """Raises `RequiredMissing`, `InvalidValue`, `DuplicateKey`, `Unavailable`."""
        notification, calling_ae = notified(attributes), request.caller.calling_ae
        if notification.findings:
            places = ", ".join(dict.fromkeys(str(finding.place) for finding in notification.findings))
            log.warning("findings of a notification of %s: %s", calling_ae, places)
        now, uid = self._clock(), request.sop_instance_uid
        evidence = evidence_of.notified(uid, notification, at=now)

        def keep(connection: Connection) -> None:
            availability.add(connection, uid, notification, calling_ae=calling_ae, now=now)
            if evidence is not None:
                settling.state(connection, notification.study_uid, evidence)
            self._consequence(connection, uid, notification)

        await self._store.write(keep)

    async def _keep_refused(self, request: AttributesRequest, attributes: Attributes, reason: str) -> None:
        await refusals.keep(
            self._store,
            "notification",
            refused_at=self._clock(),
            source=f"{request.caller.calling_ae} {request.caller.address}",
            reason=reason,
            body=orjson.dumps(attributes),
        )


def _count(status: int) -> None:
    metrics.AVAILABILITY_NOTIFICATIONS.labels(f"{status:04X}").inc()
