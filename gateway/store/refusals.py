"""What arrived and could not even be read as a message or an instance, kept raw for whoever looks for the fault."""

from __future__ import annotations

import logging
from functools import partial
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, insert, not_, select

from gateway.errors import Unavailable
from gateway.store import Store
from gateway.store.schema import refusals

log = logging.getLogger(__name__)

KEPT_BYTES: Final = 1024 * 1024
KEPT_ROWS: Final = 1000
NOT_PUT_AWAY: Final = refusals.c.put_away_at.is_(None)
IS_OPEN: Final = and_(NOT_PUT_AWAY, refusals.c.calling_ae == "")
"""It calls for a person: it arrived, could not be read, and nobody has put it away. A refused association or context
calls for nobody by itself: scanners ask for whatever they can; it is shown with the scanner."""


def add(connection: Connection, *, refused_at: int, source: str, reason: str, body: bytes, calling_ae: str = "") -> int:
    """Keep the first `KEPT_BYTES` of `body`; the oldest rows beyond `KEPT_ROWS` go."""
    values = {
        "refused_at": refused_at, "source": source, "reason": reason, "body": body[:KEPT_BYTES],
        "calling_ae": calling_ae,
    }  # fmt: skip
    key = connection.execute(insert(refusals), values).inserted_primary_key
    assert key is not None
    connection.execute(delete(refusals).where(refusals.c.id <= key[0] - KEPT_ROWS))
    return int(key[0])


async def keep(store: Store, what: str, *, refused_at: int, source: str, reason: str, body: bytes) -> None:
    """`add` in a transaction of its own. Without a database nothing is kept, and the log names `what`, such as a
    message."""
    try:
        await store.write(partial(add, refused_at=refused_at, source=source, reason=reason, body=body))
    except Unavailable as error:
        log.error("refused %s not kept: %s", what, error)


def listing(connection: Connection, *, limit: int = 100, put_away: bool | None = None) -> list[dict[str, Any]]:
    """Newest first, with the size of what is kept instead of its bytes. `put_away`: only those that were, or that call
    for a person; None: all."""
    columns = [column for column in refusals.c if column.name != "body"]
    wanted = select(*columns, func.length(refusals.c.body).label("bytes")).order_by(refusals.c.id.desc()).limit(limit)
    if put_away is not None:
        wanted = wanted.where(not_(NOT_PUT_AWAY) if put_away else IS_OPEN)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def of_scanner(connection: Connection, calling_ae: str, *, limit: int) -> list[dict[str, Any]]:
    """The newest associations and contexts of a calling AE title that were refused, without the bytes."""
    wanted = select(refusals.c.refused_at, refusals.c.source, refusals.c.reason).order_by(refusals.c.id.desc())
    # The source is the title and an address; a title may hold what LIKE takes for a wildcard.
    rows = (dict(row) for row in connection.execute(wanted).mappings())
    return list(islice((row for row in rows if row["source"].startswith(f"{calling_ae} ")), limit))


def get(connection: Connection, refusal: int) -> dict[str, Any] | None:
    """The whole row, with the bytes that are kept."""
    row = connection.execute(select(refusals).where(refusals.c.id == refusal)).mappings().first()
    return dict(row) if row else None
