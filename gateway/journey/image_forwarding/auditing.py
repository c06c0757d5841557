"""What went to a destination, counted by study, for the audit trail: an event when the first instance of a study has
gone, and one with their number when no more went for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.clock import Clock
from gateway.records.audit import GATEWAY, Action, Actor, ActorKind, AuditEvent, AuditKind, counted
from gateway.records.correction import Correction

QUIET_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Sent:
    last_at: int
    patients: dict[str, None] = field(default_factory=dict)
    """Patient IDs, in the order in which they came up."""
    classes: Counter[str] = field(default_factory=Counter)
    corrected: Counter[str] = field(default_factory=Counter)
    """Keywords of attributes that went with another value than they came."""


class SentImages:
    """`began` for each instance that has gone; `close` at the end. Events with numbers go to `note`."""

    def __init__(self, name: str, place: str, note: Callable[[AuditEvent], None], clock: Clock) -> None:
        self._peer = Actor(name, ActorKind.ARCHIVE, place)
        self._note = note
        self._clock = clock
        self._studies: dict[str, _Sent] = {}
        self._watching: asyncio.Task[None] | None = None

    def began(
        self, payload: Mapping[str, Any], sop_class_uid: str, corrections: Sequence[Correction] = ()
    ) -> AuditEvent | None:
        """Count an instance; the event, to be recorded with it, of a study of which none was counted before."""
        study = str(payload["study"])
        is_first = study not in self._studies
        sent = self._studies.setdefault(study, _Sent(self._clock()))
        sent.last_at = self._clock()
        sent.classes[sop_class_uid] += 1
        sent.corrected.update(one.keyword for one in corrections)
        named = (str(payload["patient"]), *(str(one.value) for one in corrections if one.keyword == "PatientID"))
        sent.patients |= dict.fromkeys(one for one in named if one)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="sent images")
        if not is_first:
            return None
        return self._event(AuditKind.BEGINNING_TRANSFER, Action.EXECUTE, study, sent)

    async def close(self) -> None:
        """Account for what went."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        self._account(before=None)

    async def _watch(self) -> None:
        quiet = round(QUIET_SECONDS * 1_000_000)
        while self._studies:
            await asyncio.sleep(QUIET_SECONDS)
            self._account(before=self._clock() - quiet)

    def _account(self, *, before: int | None) -> None:
        for study, sent in list(self._studies.items()):
            if before is None or sent.last_at <= before:
                del self._studies[study]
                event = self._event(AuditKind.INSTANCES_TRANSFERRED, Action.READ, study, sent, counted(sent.classes))
                self._note(event)

    def _event(self, kind: AuditKind, action: Action, study: str, sent: _Sent, numbers: str = "") -> AuditEvent:
        detail = {"instances": numbers, "corrected": counted(sent.corrected)} if numbers else {}
        return AuditEvent(
            kind, action, sent.last_at, GATEWAY, peer=self._peer, studies=(study,), patients=tuple(sent.patients),
            note=f"{sent.classes.total()} instances" if numbers else "",
            detail={name: value for name, value in detail.items() if value},
        )  # fmt: skip
