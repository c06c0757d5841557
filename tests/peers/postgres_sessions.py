"""Sessions of PostgreSQL that one test's gateway has closed serve the gateways of the tests after it.

A session is a process of the server, which reads the catalogue anew: a gateway opens four as it starts, half the CPU of
a short test. `DISCARD ALL` puts a session back to the state in which it began (settings, prepared statements, locks);
who takes one asks for the same options as who opened it, and has a connection of its own.
"""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import suppress
from typing import Any, Final

from psycopg import Connection, Error, generators
from psycopg.abc import PQGenConn
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ExecStatus, PGconn, TransactionStatus
from psycopg.pq.abc import PGconn as Session
from psycopg.waiting import wait

MOST: Final = 8
"""Sessions with the same options that are kept."""
LONGEST_SECONDS: Final = 10.0

_kept: Final[defaultdict[str, deque[Session]]] = defaultdict(deque)
"""By the options with which they were opened."""
_shared: Final[set[tuple[Any, Any]]] = set()
_options: Final = "_gateway_options"
_connect: Final = Connection._connect_gen.__func__  # type: ignore[attr-defined]
_close: Final = Connection.close


def share(url: str) -> None:
    """Keep the sessions of the database at `url`, as this process ends them."""
    _shared.add(_place(url))
    Connection._connect_gen = classmethod(_connect_or_take)  # type: ignore[assignment, method-assign]
    Connection.close = _close_or_keep  # type: ignore[assignment, method-assign]


def end_all() -> None:
    """End the sessions that are kept, and keep no more."""
    _shared.clear()
    while _kept:
        for session in _kept.popitem()[1]:
            session.finish()


def kept() -> list[int]:
    """The processes of the sessions that nobody has."""
    return [session.backend_pid for sessions in list(_kept.values()) for session in list(sessions)]


def _place(address: str) -> tuple[Any, Any]:
    options = conninfo_to_dict(address)
    return options.get("host"), options.get("dbname")


def _connect_or_take(kind: type[Connection[Any]], conninfo: str = "") -> PQGenConn[Connection[Any]]:
    session = _take(conninfo)
    connection: Connection[Any] = (yield from _connect(kind, conninfo)) if session is None else kind(session)
    if _shared and _place(conninfo) in _shared:
        setattr(connection, _options, conninfo)
    return connection


def _take(conninfo: str) -> Session | None:
    sessions = _kept.get(conninfo, ())
    while sessions:
        session = sessions.pop()
        if _is_as_it_began(session):
            return session
        session.finish()
    return None


def _is_as_it_began(session: Session) -> bool:
    """False: its server has ended it."""
    with suppress(Error):
        session.send_query(b"DISCARD ALL")
        results = wait(generators.execute(session), session.socket, 0.1, LONGEST_SECONDS)
        return [result.status for result in results] == [ExecStatus.COMMAND_OK]
    return False


def _close_or_keep(connection: Connection[Any]) -> None:
    conninfo, session = getattr(connection, _options, None), connection.pgconn
    is_at_rest = not connection.closed and session.transaction_status == TransactionStatus.IDLE
    if conninfo is None or not is_at_rest or len(_kept[conninfo]) >= MOST or not _shared:
        _close(connection)
        return
    connection._closed, connection.pgconn = True, _ended()
    session.notice_handler = session.notify_handler = None
    _kept[conninfo].append(session)


def _ended() -> Session:
    """What a connection has whose session is over."""
    session = PGconn.connect_start(b"host=/nowhere")
    session.finish()
    return session
