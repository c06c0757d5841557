"""`python -m bench.profiled FOLDER run -c FILE`: the gateway with cProfile on its loop and on its writer thread.

The loop is profiled from SIGUSR2 on, so that starting does not count. When it ends, FOLDER holds `loop.pstats` and
`writer.pstats`. The profiler makes every call dearer, small ones most,
and a call that gives up the interpreter's lock is charged with waiting for it: shares are to be read, not times.
"""

from __future__ import annotations

import atexit
import cProfile
import pstats
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from bench.figures import Table

_WAITS = ("'poll' of 'select.epoll'", "'get' of '_queue.SimpleQueue'")
_GROUPS = (
    ("'execute' of 'sqlite3.Cursor'", "SQLite: statements"),
    ("'commit' of 'sqlite3.Connection'", "SQLite: commit, forced to disk"),
    ("'send' of '_socket", "socket send, to peers or to wake the loop"),
    ("'recv' of '_socket", "socket receive"),
    ("/sqlalchemy/", "SQLAlchemy"),
    ("/gateway/mapping/", "gateway/mapping"),
    ("/gateway/wire/", "gateway/wire"),
    ("/gateway/journey/", "gateway/journey"),
    ("/gateway/store/", "gateway/store"),
    ("/asyncio/", "asyncio"),
)
"""Part of a function's file or name -> whose time it is; the first that fits."""

_profiles: dict[str, cProfile.Profile] = {}


def _begin(_frame: FrameType, _event: str, _argument: Any) -> None:
    """The first call of a new thread: profile it if it is the writer, else let it run free."""
    sys.setprofile(None)
    if threading.current_thread().name == "store-writer":
        _profiles["writer"] = cProfile.Profile()
        _profiles["writer"].enable()


def shares(folder: Path, messages: int) -> list[Table]:
    """Whose time it was, thread by thread, waiting for work left out; then the dearest functions of the gateway."""
    return [_by_owner(folder, messages), _by_function(folder, messages)]


def _functions(folder: Path) -> dict[str, dict[tuple[str, int, str], tuple[int, float, float]]]:
    """Per thread: function -> calls, own seconds, seconds with all it calls."""
    found = {}
    for name in ("loop", "writer"):
        stats: Any = pstats.Stats(str(folder / f"{name}.pstats"))
        found[name] = {
            function: (calls, own, total)
            for function, (_, calls, own, total, _) in stats.stats.items()
            if not any(wait in function[2] for wait in _WAITS)
        }
    return found


def _by_owner(folder: Path, messages: int) -> Table:
    rows = []
    for thread, functions in _functions(folder).items():
        owned: dict[str, float] = {}
        for (file, _, name), (_, own, _) in functions.items():
            owner = next((owner for part, owner in _GROUPS if part in file or part in name), "the rest")
            owned[owner] = owned.get(owner, 0.0) + own
        busy = sum(owned.values())
        rows.append((f"{thread} thread", "100 %", f"{busy / messages * 1e6:,.0f}"))
        for owner, own in sorted(owned.items(), key=lambda one: -one[1]):
            rows.append((f"   {owner}", f"{own / busy:.0%}", f"{own / messages * 1e6:,.0f}"))
    return Table("Profile: whose time", ("", "share of the thread's work", "us/message, profiled"), rows)


def _by_function(folder: Path, messages: int, most: int = 14) -> Table:
    rows = []
    for thread, functions in _functions(folder).items():
        busy = sum(own for _, own, _ in functions.values())
        ours = [one for one in functions.items() if "/gateway/" in one[0][0] and one[1][0] >= messages]
        for (file, line, name), (calls, _, total) in sorted(ours, key=lambda one: -one[1][2])[:most]:
            place = f"{thread}: {file.rpartition('/gateway/')[2]}:{line} {name}"
            rows.append((place, f"{calls / messages:,.0f}", f"{total / busy:.0%}"))
    header = ("function, with all it calls", "calls/message", "share of the thread's work")
    return Table("Profile: the gateway's dearest functions", header, rows)


def main() -> None:
    from gateway.cli import main as gateway

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    sys.argv = ["gateway", *sys.argv[2:]]
    threading.setprofile(_begin)
    _profiles["loop"] = cProfile.Profile()

    @atexit.register
    def _write() -> None:
        for name, profile in _profiles.items():
            profile.create_stats()
            profile.dump_stats(folder / f"{name}.pstats")

    signal.signal(signal.SIGUSR2, lambda _number, _frame: _profiles["loop"].enable())
    gateway()


if __name__ == "__main__":
    main()
