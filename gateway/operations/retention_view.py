"""What retention did or would do, as text and as facts for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.records.retention import RetentionKind, Tally


@dataclass(frozen=True, slots=True)
class KindShown:
    """Of one kind of rows."""

    kind: str
    deleted: Mapping[str, int]
    """Table -> rows."""
    stayed: Mapping[str, int]
    """Why -> rows."""
    failed: tuple[str, ...] = ()


def kinds_shown(tallies: Mapping[RetentionKind, Tally]) -> list[KindShown]:
    """The same as values for pages and JSON."""
    return kinds_kept({kind.value: tally.as_json() for kind, tally in tallies.items()})


def kinds_kept(tallies: Mapping[str, Any]) -> list[KindShown]:
    """What a run has noted of each kind."""
    return [
        KindShown(kind, tally["deleted"], tally["stayed"], tuple(tally["failed"])) for kind, tally in tallies.items()
    ]


def lines(shown: list[KindShown], *, verb: str) -> Iterator[str]:
    """A few lines for each kind. `verb`: `deleted` or `would go`."""
    for one in shown:
        gone = ", ".join(f"{number:,} {table}" for table, number in one.deleted.items() if number) or "nothing"
        yield f"{one.kind}: {verb}: {gone}"
        yield from (f"  {number:,} {'stays' if number == 1 else 'stay'}: {why}" for why, number in one.stayed.items())
        yield from (f"  could not be deleted: {name}" for name in one.failed)


def summary(tallies: Mapping[RetentionKind, Tally]) -> str:
    """A line for the log."""
    deleted = sum(sum(tally.deleted.values()) for tally in tallies.values())
    stayed = sum(sum(tally.stayed.values()) for tally in tallies.values())
    failed = sum(len(tally.failed) for tally in tallies.values())
    return f"{deleted:,} rows deleted, {stayed:,} old rows stay, {failed:,} could not be deleted"
