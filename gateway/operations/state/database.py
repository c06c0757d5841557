"""The database: whether it is read, whether it takes writing, and how old the last backup is."""

from __future__ import annotations

from typing import Final

from gateway.operations.state.components import Component
from gateway.operations.state.part import Fact, Form, Kind, Level, Part, moments
from gateway.store import Store

READING: Final = "reading"
"""Name of the part that is good while the database is read."""
QUIET_SECONDS: Final = 60.0
"""A commit is proved every few seconds; the moment of the last is a fact only when it is older."""
BACKUP_DAYS: Final = 3
"""Where backups are made at all, one that is older is missed."""
NONE_MADE: Final = {
    "sqlite": "none was made by 'gateway backup': where nothing else makes any, a lost disk loses all",
    "postgresql": "none was made by the gateway; pg_dump leaves no note",
}
DAY: Final = 86_400 * 1_000_000


def database_part(component: Component) -> Part:
    """Whether the database is read."""
    detail = f"{component.detail}: is read" if component.ok else component.detail
    return Part(Kind.DATABASE, READING, Level.GOOD if component.ok else Level.BAD, detail)


def writing_part(component: Component, store: Store, now: int) -> Part:
    """Whether the database takes writing, when something was committed last, and what failed since."""
    seconds = store.pulse.seconds_since_proof()
    # While commits follow one another, their moments would only make every page change.
    is_old = seconds is not None and (seconds > QUIET_SECONDS or not component.ok)
    facts = moments(last_commit=now - round((seconds or 0) * 1_000_000) if is_old else None)
    if store.pulse.failures:
        facts = (*facts, Fact("writes failed", store.pulse.failures, Form.COUNT))
    return Part(Kind.DATABASE, "writing", Level.GOOD if component.ok else Level.BAD, component.detail, facts)


def backup_part(made_at: int | None, now: int, dialect: str) -> Part:
    """How old the last backup is. No alarm where none was ever made: a site may have another way."""
    if made_at is None:
        return Part(Kind.BACKUP, "", Level.GOOD, NONE_MADE["sqlite" if dialect == "sqlite" else "postgresql"])
    days = (now - made_at) // DAY
    if days < BACKUP_DAYS:
        return Part(Kind.BACKUP, "", Level.GOOD, "is made", moments(last_backup=made_at))
    return Part(Kind.BACKUP, "", Level.WARN, f"the last is {days} days old", moments(last_backup=made_at))
