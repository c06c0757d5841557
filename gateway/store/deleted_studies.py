"""Studies that retention deleted, known again by a digest of their UID: what comes of one later may be a part alone."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.store.schema import deleted_studies
from gateway.store.statement import Statement


@dataclass(frozen=True, slots=True)
class DeletedStudy:
    deleted_at: int
    """Microseconds since 1970 UTC."""
    instances: int
    """How many it had."""


_GET: Final = Statement(
    select(deleted_studies.c.deleted_at, deleted_studies.c.instances).where(
        deleted_studies.c.digest == bindparam("the_digest")
    )
)
_FORGET: Final = delete(deleted_studies).where(deleted_studies.c.digest.in_(bindparam("digests", expanding=True)))


def _digest(study_uid: str) -> bytes:
    return hashlib.sha256(study_uid.encode()).digest()


def remember(connection: Connection, instances: Mapping[str, int], now: int) -> None:
    """Note that studies are deleted: UID -> how many instances each had."""
    forget(connection, instances)
    rows = [{"digest": _digest(uid), "deleted_at": now, "instances": number} for uid, number in instances.items()]
    if rows:
        connection.execute(insert(deleted_studies), rows)


def get(connection: Connection, study_uid: str) -> DeletedStudy | None:
    """What is known of a study that was deleted; None: it was not."""
    row = _GET.first(connection, {"the_digest": _digest(study_uid)})
    return None if row is None else DeletedStudy(**row)


def among(connection: Connection, study_uids: Collection[str]) -> set[str]:
    """Those of these studies that were deleted."""
    uids = {_digest(uid): uid for uid in study_uids}
    wanted = select(deleted_studies.c.digest).where(deleted_studies.c.digest.in_(list(uids)))
    return {uids[bytes(digest)] for digest in connection.execute(wanted).scalars()} if uids else set()


def forget(connection: Connection, study_uids: Collection[str]) -> int:
    """Forget that these studies were ever deleted; how many were remembered."""
    return connection.execute(_FORGET, {"digests": [_digest(one) for one in study_uids]}).rowcount
