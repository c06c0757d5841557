"""Studies that an archive notifies of (PS3.4 Annex R), and that are read where it says that they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.records.availability import Availability, Notification, available_instances
from gateway.records.completeness import EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy
from gateway.records.work import Work
from gateway.store import Store, completeness, header_ranks, source_studies
from gateway.store.outbox_claims import Done
from gateway.work.lease import Lease

MOST_TRIES: Final = 10
"""A study is read so often for instances that are named and not there."""
TRIES_OF_LISTED: Final = 5
"""The same for instances that the source counts and does not give: some sources count what they never give."""
_NOT_AT_HAND: Final = frozenset({Availability.OFFLINE.value, Availability.UNAVAILABLE.value})
Fetch = Callable[[Work, Lease], Awaitable[Done]]


def queue_notified(
    connection: Connection,
    sop_uid: str,
    notification: Notification,
    *,
    sources: Mapping[str, str],
    only: str | None,
    clock: Clock,
) -> None:
    """Let a study be read of which a notification names instances that are not here.

    `sources`: Retrieve AE Title -> name of the source; `only`: the source of instances without a Retrieve AE Title.
    """
    if not sources and only is None:
        return
    here = header_ranks.of_study(connection, notification.study_uid)
    titles = dict.fromkeys(
        one.retrieve_ae
        for one in available_instances(notification.attributes)
        if one.sop_uid not in here and one.availability not in _NOT_AT_HAND
    )
    wanted = {sources.get(title) if title else only for title in titles}
    now = clock()
    study = ListedStudy(notification.study_uid, f"notification {sop_uid}")
    for source in sorted(filter(None, wanted)):
        source_studies.want(connection, source, [study], now=now, again_before=now)


class Completing:
    """`fetch` reads a study, and again while a notification, or the source's own list, states instances that the source
    does not give yet."""

    def __init__(self, fetch: Fetch, store: Store) -> None:
        self._fetch = fetch
        self._store = store

    async def fetch(self, work: Work, lease: Lease) -> Done:
        """Raises what the reading of the study raises, and `Unavailable` where something is missing."""
        done = await self._fetch(work, lease)
        missing = await self._store.read(partial(_missing, study_uid=work.subject))
        if missing.named and work.attempts < MOST_TRIES:
            raise Unavailable(f"{missing.named} instances that a notification names are not there yet")
        stated = work.payload.get("instances")
        # A source need not give what is here; and not all that is given stays here.
        given = max(done.outcome["given"], missing.here + done.outcome["refused"])
        if isinstance(stated, int) and given < stated and work.attempts < TRIES_OF_LISTED:
            raise Unavailable(f"the source gives {given} of {stated} instances that it lists")
        return done


class _Missing(NamedTuple):
    named: int
    """By notifications, and not here."""
    here: int


def _missing(connection: Connection, study_uid: StudyInstanceUID) -> _Missing:
    stated = completeness.of_study(connection, study_uid)
    named = frozenset[str]().union(*(one.sop_uids for one in stated if one.kind is EvidenceKind.AVAILABILITY))
    here = header_ranks.of_study(connection, study_uid).keys()
    return _Missing(len(named - here), len(here))
