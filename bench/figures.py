"""What was measured, as tables for people, and the machine on which it was."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Target:
    """One figure that the design holds the gateway to."""

    name: str
    held_to: str
    measured: str
    met: bool
    gap: str = ""
    """By how much it is missed, when it is."""


@dataclass(frozen=True)
class Report:
    tables: Sequence[Table]
    targets: Sequence[Target] = field(default=())


def at_least(name: str, unit: str, wanted: float, measured: float) -> Target:
    gap = "" if measured >= wanted else f"{measured / wanted:.0%} of it"
    return Target(name, f">= {wanted:,.4g} {unit}", f"{measured:,.4g} {unit}", measured >= wanted, gap)


def at_most(name: str, unit: str, wanted: float, measured: float) -> Target:
    gap = "" if measured <= wanted else f"{measured / wanted:.1f} times it" if wanted else f"{measured:g} too many"
    return Target(name, f"<= {wanted:,.4g} {unit}", f"{measured:,.4g} {unit}", measured <= wanted, gap)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def rendered(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()

    rule = "-|-".join("-" * width for width in widths)
    notes = (f"  {note}" for note in table.notes)
    return "\n".join([table.title, "", line(table.header), rule, *map(line, table.rows), *notes])


def verdicts(targets: Sequence[Target]) -> Table:
    rows = [(one.name, one.held_to, one.measured, "met" if one.met else f"NOT met: {one.gap}") for one in targets]
    return Table("Targets", ("target", "held to", "measured", "verdict"), rows)


def machine() -> Table:
    """What the figures depend on."""
    sync = forced_write_seconds()
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    rows = [
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("cores", str(len(os.sched_getaffinity(0)))),
        ("processor", _processor()),
        ("system", platform.platform(terse=True)),
        ("SQLite", sqlite3.sqlite_version),
        ("forced write of 4 KiB", f"p50 {milliseconds(statistics.median(sync))} ms"),
        ("load before (1, 5, 15 min)", load),
    ]
    return Table("Machine", ("", ""), rows)


def forced_write_seconds(times: int = 50) -> list[float]:
    """How long write and fdatasync of one page take in the folder that the databases use."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(times):
            begun = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return taken


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
