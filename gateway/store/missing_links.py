"""References of delivered resources that an EHR could not resolve: which lane waits for which resource."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.records.link import Target
from gateway.records.work import Lane
from gateway.store.engine import lock
from gateway.store.schema import missing_links

_OF_LANE: Final = (missing_links.c.ehr == bindparam("the_ehr")) & (missing_links.c.lane == bindparam("the_lane"))
_FORGET: Final = delete(missing_links).where(_OF_LANE)
_WANTED: Final = select(missing_links.c.kind, missing_links.c.identifier).where(_OF_LANE).order_by(missing_links.c.id)
_WAITING: Final = (
    select(missing_links.c.lane)
    .where(
        missing_links.c.ehr == bindparam("the_ehr"),
        missing_links.c.kind == bindparam("the_kind"),
        missing_links.c.identifier == bindparam("the_identifier"),
    )
    .order_by(missing_links.c.id)
)


def replace(connection: Connection, ehr: str, lane: Lane, targets: Collection[Target], *, now: int) -> None:
    """Note which targets the resource of `lane` (a lane of looks) lacks from now on."""
    lock(connection, f"links|{ehr}|{lane}")
    connection.execute(_FORGET, {"the_ehr": ehr, "the_lane": str(lane)})
    rows = [
        {"ehr": ehr, "lane": str(lane), "kind": one.kind, "identifier": one.identifier, "since": now}
        for one in dict.fromkeys(targets)
    ]
    if rows:
        connection.execute(insert(missing_links), rows)


def of_lane(connection: Connection, lane: Lane) -> list[Target]:
    """The targets that the resource of `lane` lacks."""
    rows = connection.execute(_WANTED, {"the_ehr": lane.kind.target, "the_lane": str(lane)})
    return [Target(*row) for row in rows]


def waiting_for(connection: Connection, ehr: str, targets: Collection[Target]) -> list[Lane]:
    """The lanes whose resources lack any of `targets`."""
    found = [
        lane
        for one in targets
        for lane in connection.execute(
            _WAITING, {"the_ehr": ehr, "the_kind": one.kind, "the_identifier": one.identifier}
        ).scalars()
    ]
    return [Lane.of(lane) for lane in dict.fromkeys(found)]
