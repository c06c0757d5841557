"""Examinations that hang: a modality began, and gives no sign of life since (N-SET, images of the study).

All is computed from times in the database, so that a gateway that was down for a day sees at once what it missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.journey.performed_step.attaching import Tools
from gateway.journey.performed_step.consequences import Change, follow
from gateway.journey.performed_step.moving import move
from gateway.observe import metrics
from gateway.records.performed_step import scheduled_items
from gateway.records.row_ids import PerformedStepRow
from gateway.records.silence import HOUR, SilenceRule
from gateway.records.step import StepEvent
from gateway.store import Store, performed_steps, silent_steps, step_candidates
from gateway.store import order_book as book

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
TOGETHER: Final = 100
"""Performed steps that are read at once."""
FORGOTTEN_AFTER: Final = 7 * 24 * HOUR
"""A performed step that has been silent for so long is not looked at any more: some modalities never end one."""


class SilenceWatch:
    """Lists and counts silent performed steps, and ends them where the site wants that. `run` never ends.

    `since`: how long ago, in microseconds, `clock` showed a moment, where that clock may be set; None: it is never set.
    """

    def __init__(
        self,
        store: Store,
        tools: Tools,
        rule: SilenceRule,
        clock: Clock,
        since: Callable[[int], int] | None = None,
    ) -> None:
        self._store = store
        self._tools = tools
        self._rule = rule
        self._clock = clock
        self._since = since or (lambda moment: clock() - moment)

    async def run(self) -> None:
        """Look once a minute, the first time at once. Raises `Unavailable`."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Bring what is known of silent performed steps up to date. Raises `Unavailable`."""
        now, after = self._clock(), None
        while True:
            last, rows = await self._store.read(partial(self._changing, after=after, now=now))
            for row in rows:
                if calling_ae := await self._store.write(partial(self._judge, row=row, now=now)):
                    log.warning("an examination that %s began gives no sign of life", calling_ae)
            if last is None:
                break
            after = last
        metrics.SILENT_STEPS.set(await self._store.read(silent_steps.count))

    def _changing(
        self, connection: Connection, *, after: PerformedStepRow | None, now: int
    ) -> tuple[PerformedStepRow | None, list[PerformedStepRow]]:
        """Of the next page: its last row, None without any, and the rows of which something has changed."""
        page = silent_steps.quiet_since(
            connection, now - self._rule.shortest, noticed_since=now - FORGOTTEN_AFTER, after=after, limit=TOGETHER
        )
        silent = {one["id"]: self._is_silent(connection, one) for one in page}
        changing = [
            PerformedStepRow(one["id"])
            for one in page
            if silent[one["id"]] is (one["silent_at"] is None) or (silent[one["id"]] and self._rule.close)
        ]
        return PerformedStepRow(page[-1]["id"]) if page else None, changing

    def _judge(self, connection: Connection, row: PerformedStepRow, now: int) -> str:
        """The calling AE title of a performed step that has become silent, else empty."""
        performed = performed_steps.hold_row(connection, row)
        if performed is None:
            return ""
        is_silent, was_silent = self._is_silent(connection, performed), performed["silent_at"] is not None
        if is_silent != was_silent:
            silent_steps.mark(connection, row, now if is_silent else None)
        if is_silent and self._rule.close:
            self._end(connection, performed, now)
        return str(performed["calling_ae"]) if is_silent and not was_silent else ""

    def _is_silent(self, connection: Connection, performed: Mapping[str, Any]) -> bool:
        links = step_candidates.links_of(connection, performed["id"])
        uids = {one.study_uid for one in links} | {one.study_uid for one in scheduled_items(performed["attributes"])}
        last = max(performed["updated_at"], silent_steps.last_image_at(connection, uids))
        goes_on = performed["ended_at"] is None
        modality = str(performed["attributes"].get("Modality") or "")
        return goes_on and self._rule.is_silent(modality, self._since(last))

    def _end(self, connection: Connection, performed: Mapping[str, Any], now: int) -> None:
        """PS3.4 F.7.2.2: the SCP may end what its modality does not. A later N-SET of the modality is taken all the
        same."""
        row, uid = PerformedStepRow(performed["id"]), performed["sop_uid"]
        ended_at = max(now, performed["begun_at"])
        silent_steps.end(connection, row, ended_at)
        orders = [book.get(connection, order) for order in performed_steps.orders_of(connection, uid)]
        known = performed_steps.events_by_order(connection, orders)
        move(connection, orders, self._tools.history, uid, StepEvent.PPS_SILENT, now=now, known=known)
        links = tuple(step_candidates.links_of(connection, row))
        step = performed_steps.step_of(performed)
        change = Change(row, uid, step, StepEvent.PPS_SILENT, ended_at, links, request=None)
        follow(connection, self._tools.consequences, change)
